/** The methods of the etcd port. Any other is answered Unimplemented by the port itself. */
import type { Method } from '../../transport/etcd/api.ts'

export const method = {
  range: 1,
  put: 2,
  deleteRange: 3,
  txn: 4,
  compact: 5,
  watch: 6,
  leaseGrant: 7,
  leaseRevoke: 8,
  leaseKeepAlive: 9,
  leaseTimeToLive: 10,
  leaseLeases: 11,
  memberList: 12,
  alarm: 13,
  status: 14,
  healthCheck: 15,
  healthWatch: 16,
  healthList: 17,
  authenticate: 18,
  authStatus: 19,
} as const

export const methods: readonly Method[] = [
  one('etcdserverpb.KV/Range', method.range),
  one('etcdserverpb.KV/Put', method.put),
  one('etcdserverpb.KV/DeleteRange', method.deleteRange),
  one('etcdserverpb.KV/Txn', method.txn),
  one('etcdserverpb.KV/Compact', method.compact),
  many('etcdserverpb.Watch/Watch', method.watch),
  one('etcdserverpb.Lease/LeaseGrant', method.leaseGrant),
  one('etcdserverpb.Lease/LeaseRevoke', method.leaseRevoke),
  many('etcdserverpb.Lease/LeaseKeepAlive', method.leaseKeepAlive),
  one('etcdserverpb.Lease/LeaseTimeToLive', method.leaseTimeToLive),
  one('etcdserverpb.Lease/LeaseLeases', method.leaseLeases),
  one('etcdserverpb.Cluster/MemberList', method.memberList),
  one('etcdserverpb.Maintenance/Alarm', method.alarm),
  one('etcdserverpb.Maintenance/Status', method.status),
  one('etcdserverpb.Auth/Authenticate', method.authenticate),
  one('etcdserverpb.Auth/AuthStatus', method.authStatus),
  one('grpc.health.v1.Health/Check', method.healthCheck),
  one('grpc.health.v1.Health/Watch', method.healthWatch),
  one('grpc.health.v1.Health/List', method.healthList),
]

function one(name: string, id: number): Method {
  return { path: `/${name}`, id, requests: 'one' }
}

function many(name: string, id: number): Method {
  return { path: `/${name}`, id, requests: 'many' }
}
