import { defineProtocol } from '../../runtime/protocol.ts'
import type { PeersMessage } from './messages.ts'

export const peersProtocol = defineProtocol<PeersMessage>('peers', {
  members: {
    members: { array: { record: 'Member', fields: { node: 'int', host: 'string', port: 'int' } } },
  },
  sendCheckpoint: { node: 'int' },
  flush: {},
  introduce: {},
  listening: { error: 'string' },
  status: { replyTo: 'string', id: 'long' },
})
