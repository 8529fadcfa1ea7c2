/** What must hold at the end, when all is healed and quiet (no more requests are under way). */
import type { Replica } from '../../actors/state/replica.ts'
import type { EtcdClient } from './etcd-client.ts'
import type { SimulatedNode } from './node.ts'
import type { Observer } from './observer.ts'
import type { ZookeeperClient } from './zookeeper-client.ts'
import { appendRoot } from './zookeeper-request.ts'

export function verifyEnd(
  observer: Observer,
  nodes: readonly SimulatedNode[],
  clients: readonly ZookeeperClient[],
  etcdClients: readonly EtcdClient[],
): void {
  for (const { done, name } of etcdClients) {
    if (!done) observer.violate(0, `${name} was not served to the end`)
  }
  for (const client of clients) {
    if (!client.done) observer.violate(0, `client ${client.path} was not served to the end`)
  }
  if (observer.violations.length > 0) return
  const replicas = nodes.map(({ id }) => observer.replicas.of(id))
  verifyEqual(observer, replicas)
  const [replica] = replicas
  if (replica === undefined) return observer.violate(1, 'is not there at the end')
  for (const client of clients) verifyClient(observer, replica, client)
  const watched = new Map(etcdClients.map(({ name, watch }) => [name, watch.changes]))
  observer.etcd.verify(replica.keyspace, watched, sentence => observer.violate(0, sentence))
}

function verifyEqual(observer: Observer, replicas: readonly (Replica | undefined)[]): void {
  const states = replicas.map(replica => {
    if (replica === undefined) return 'down'
    const { low, high } = replica.hash()
    return `${replica.position} ${high >>> 0} ${low >>> 0}`
  })
  if (new Set(states).size > 1)
    observer.violate(0, `states differ at the end: ${states.join(', ')}`)
}

function verifyClient(observer: Observer, { tree }: Replica, client: ZookeeperClient): void {
  const own = tree.find(client.path)
  if (own === 0) return observer.violate(0, `${client.path} is gone`)
  const version = tree.version(own)
  if (version < client.version || version > client.setsSent) {
    observer.violate(0, `${client.path} has version ${version}, acknowledged was ${client.version}`)
  }
  const data = Number(Buffer.from(tree.data(own) ?? []).toString())
  if (data < client.lastSetAcknowledged) {
    observer.violate(
      0,
      `${client.path} holds ${data}, acknowledged was ${client.lastSetAcknowledged}`,
    )
  }
  verifyAppended(observer, { tree } as Replica, client)
  client.ephemerals.verify(tree)
  client.watches.verify(tree)
}

/** What was acknowledged is there, and what is there was asked for: none is lost, none doubled. */
function verifyAppended(observer: Observer, { tree }: Replica, client: ZookeeperClient): void {
  for (const path of client.appended) {
    if (tree.find(path) === 0) observer.violate(0, `${path} was acknowledged and is gone`)
  }
  const children: number[] = []
  tree.children(tree.find(appendRoot), children)
  const prefix = `${client.path.replace('/own-', '')}-`
  const count = children.filter(child => tree.name(child).startsWith(prefix)).length
  if (count > client.appendsSent) {
    observer.violate(
      0,
      `client ${client.path} appended ${client.appendsSent} times, ${count} are there`,
    )
  }
}
