import { defineProtocol } from '../../runtime/protocol.ts'
import type { StatusAnswer } from '../control.ts'
import type { LeaseAnswers, SessionsConfirmed } from '../sessions/messages.ts'
import { reply } from '../watches/protocol.ts'
import type { GatewayMessage, MetricsText } from './messages.ts'

const gateway = {
  reply,
  leader: { epoch: 'long', leader: 'int', self: 'boolean' },
  readReady: { id: 'long', position: 'long' },
  readFailed: { id: 'long' },
  space: { level: 'int' },
  statesDiffer: { differ: 'boolean' },
  event: { connection: 'long', tag: 'long', body: 'bytes' },
  needsRoom: { stream: 'int', connection: 'long', tag: 'long', bytes: 'long' },
  eventsWait: { waiting: 'boolean' },
  unanswered: { stream: 'int', through: 'long' },
  handInAgain: {},
  logTime: { time: 'double' },
  closeConnection: { connection: 'long' },
  drain: { id: 'long' },
  status: { replyTo: 'string', id: 'long' },
  tick: {},
} as const

/** Clients wait for answers, and count on events: none is lost. */
const reserved = [
  'reply',
  'event',
  'eventsWait',
  'needsRoom',
  'unanswered',
  'closeConnection',
  'leader',
  'readReady',
  'readFailed',
  'space',
  'statesDiffer',
] as const

/** Status answers are for four-letter words. */
export const zookeeperProtocol = defineProtocol<GatewayMessage | StatusAnswer | SessionsConfirmed>(
  'zookeeper',
  {
    ...gateway,
    statusAnswer: { from: 'string', id: 'long', json: 'string' },
    sessionsConfirmed: { askedMillis: 'double', heard: 'bytes' },
  },
  { reserved: [...reserved, 'statusAnswer', 'sessionsConfirmed'] },
)

export const etcdProtocol = defineProtocol<GatewayMessage | LeaseAnswers | MetricsText>(
  'etcd',
  {
    ...gateway,
    metricsText: { id: 'long', text: 'string' },
    leaseAnswers: { tag: 'long', ids: 'bytes', times: 'bytes', failed: 'boolean' },
  },
  { reserved: [...reserved, 'leaseAnswers', 'metricsText'] },
)
