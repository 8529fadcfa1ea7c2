/** The well-known actors of a node, for `context.find`: wherever the placement put them. */
import { consensusProtocol } from './consensus/protocol.ts'
import { controlProtocol } from './control.ts'
import { etcdProtocol, zookeeperProtocol } from './gateways/protocol.ts'
import { journalProtocol } from './journal/protocol.ts'
import { peersProtocol } from './peers/protocol.ts'
import { sessionsProtocol } from './sessions/protocol.ts'
import { stateProtocol } from './state/protocol.ts'
import { watchesProtocol } from './watches/protocol.ts'

export const directory = {
  consensus: { name: 'consensus', protocol: consensusProtocol },
  journal: { name: 'journal', protocol: journalProtocol },
  peers: { name: 'peers', protocol: peersProtocol },
  state: { name: 'state', protocol: stateProtocol },
  sessions: { name: 'sessions', protocol: sessionsProtocol },
  watches: { name: 'watches', protocol: watchesProtocol },
  zookeeper: { name: 'zookeeper', protocol: zookeeperProtocol },
  etcd: { name: 'etcd', protocol: etcdProtocol },
  /** The node's own actor, on the main thread. */
  control: { name: 'control', protocol: controlProtocol },
} as const
