import { defineProtocol } from '../../runtime/protocol.ts'
import type { LeaseAnswer } from '../sessions/messages.ts'
import type { GatewayMessage } from './messages.ts'

const gateway = {
  reply: {
    stream: 'int',
    connection: 'long',
    tag: 'long',
    sequence: 'long',
    status: 'int',
    body: 'bytes',
  },
  leader: { epoch: 'long', leader: 'int', self: 'boolean' },
  readReady: { id: 'long', position: 'long' },
  readFailed: { id: 'long' },
  event: { connection: 'long', tag: 'long', body: 'bytes' },
  unanswered: { through: 'long' },
  closeConnection: { connection: 'long' },
  status: { replyTo: 'string', id: 'long' },
  tick: {},
} as const

export const zookeeperProtocol = defineProtocol<GatewayMessage>('zookeeper', gateway)

export const etcdProtocol = defineProtocol<GatewayMessage | LeaseAnswer>('etcd', {
  ...gateway,
  leaseAnswer: {
    connection: 'long',
    tag: 'long',
    id: 'bytes',
    remainingMillis: 'double',
    ttlMillis: 'double',
    failed: 'boolean',
  },
})
