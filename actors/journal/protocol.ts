import { defineProtocol } from '../../runtime/protocol.ts'
import type { JournalMessage } from './messages.ts'

export const journalProtocol = defineProtocol<JournalMessage>('journal', {
  recover: { position: 'long' },
  persist: {
    id: 'long',
    truncateFrom: 'long',
    entries: 'bytes',
    first: 'long',
    count: 'int',
    hardState: 'bytes',
  },
  compact: { position: 'long' },
  reset: { position: 'long', epoch: 'long' },
  status: { replyTo: 'string', id: 'long' },
})
