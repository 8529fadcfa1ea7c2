import { defineProtocol } from '../../runtime/protocol.ts'
import type { StateMessage } from './messages.ts'

export const stateProtocol = defineProtocol<StateMessage>(
  'state',
  {
    committed: { first: 'long', count: 'int', entries: 'bytes' },
    leader: { epoch: 'long', leader: 'int', self: 'boolean' },
    readReady: { id: 'long', position: 'long' },
    readFailed: { id: 'long' },
    read: {
      stream: 'int',
      connection: 'long',
      tag: 'long',
      after: 'long',
      position: 'long',
      roomBytes: 'long',
      request: 'bytes',
    },
    room: { stream: 'int', connection: 'long', tag: 'long', bytes: 'long' },
    connectionGone: { stream: 'int', connection: 'long' },
    propose: { entries: 'bytes', count: 'int' },
    checkpointArrived: { directory: 'string', position: 'long', epoch: 'long' },
    checkpointSlice: {},
    checkpointWritten: {},
    barrier: { replyTo: 'string', id: 'long', position: 'long' },
    hash: { node: 'int', position: 'long', low: 'int', high: 'int' },
    level: { node: 'int', level: 'int' },
    gatewayStarted: { stream: 'int' },
    unwatched: { keys: 'boolean', registrations: 'long' },
    status: { replyTo: 'string', id: 'long' },
    tick: {},
  },
  {
    // Never lost behind reads, however many there are: the log has no holes.
    reserved: [
      'committed',
      'read',
      'leader',
      'readReady',
      'readFailed',
      'propose',
      'room',
      'connectionGone',
      'checkpointArrived',
      'checkpointSlice',
      'checkpointWritten',
      'barrier',
      'gatewayStarted',
      'unwatched',
      'tick',
    ],
  },
)
