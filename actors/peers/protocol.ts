import { defineProtocol } from '../../runtime/protocol.ts'
import type { PeersMessage } from './messages.ts'

export const peersProtocol = defineProtocol<PeersMessage>(
  'peers',
  {
    members: {
      members: {
        array: { record: 'Member', fields: { node: 'int', host: 'string', port: 'int' } },
      },
      formation: 'string',
      position: 'long',
      bound: { array: { record: 'BoundStore', fields: { node: 'int', store: 'string' } } },
    },
    sendCheckpoint: { node: 'int' },
    flush: {},
    introduce: {},
    listening: { error: 'string' },
    status: { replyTo: 'string', id: 'long' },
  },
  // Nobody says it again.
  { reserved: ['members', 'sendCheckpoint'] },
)
