import { defineProtocol } from '../../runtime/protocol.ts'
import type { WatchesMessage } from './messages.ts'

/** From the state machine, and passed on to the gateways as it is. */
export const reply = {
  stream: 'int',
  connection: 'long',
  tag: 'long',
  sequence: 'long',
  status: 'int',
  body: 'bytes',
} as const

const revisionChanges = {
  revision: 'long',
  epoch: 'long',
  events: {
    array: {
      record: 'KeyEvent',
      fields: { deleted: 'boolean', key: 'bytes', current: 'bytes', previous: 'bytes' },
    },
  },
} as const

/** What the state machine tells is not lost, however much one command tells at once. */
const reserved = [
  'reply',
  'znodeChanged',
  'znodeWatch',
  'znodeWatches',
  'znodeIdentities',
  'keysChanged',
  'keyWatch',
  'keyHistory',
  'keyStream',
  'cause',
  'gatewayStarted',
  'eventsTaken',
  'connectionClosed',
] as const

export const watchesProtocol = defineProtocol<WatchesMessage>(
  'watches',
  {
    reply,
    znodeChanged: { event: 'int', path: 'string', zxid: 'long', acl: 'bytes', parentAcl: 'bytes' },
    znodeWatch: { connection: 'long', path: 'string', watcher: 'string', identities: 'bytes' },
    znodeWatches: {
      connection: 'long',
      paths: { array: 'string' },
      watcher: 'string',
      identities: 'bytes',
    },
    znodeIdentities: { connection: 'long', identities: 'bytes' },
    keysChanged: { ...revisionChanges, more: 'boolean' },
    keyWatch: {
      connection: 'long',
      tag: 'long',
      revision: 'long',
      compactRevision: 'long',
      epoch: 'long',
      request: 'bytes',
    },
    keyHistory: {
      id: 'long',
      upTo: 'long',
      revision: 'long',
      compactRevision: 'long',
      changes: { array: { record: 'RevisionChanges', fields: revisionChanges } },
      more: 'boolean',
    },
    keyStream: { connection: 'long', tag: 'long', change: 'string' },
    cause: { trace: 'bytes' },
    gatewayStarted: { stream: 'int' },
    eventsTaken: { connections: { array: 'long' }, bytes: { array: 'long' } },
    connectionClosed: { stream: 'int', connection: 'long' },
    status: { replyTo: 'string', id: 'long' },
    tick: {},
    goOn: {},
  },
  { reserved },
)
