import { defineProtocol } from '../../runtime/protocol.ts'
import type { JournalMessage } from './messages.ts'

export const journalProtocol = defineProtocol<JournalMessage>(
  'journal',
  {
    recover: { position: 'long' },
    recoverMore: {},
    persist: {
      id: 'long',
      order: 'long',
      truncateFrom: 'long',
      entries: 'bytes',
      first: 'long',
      count: 'int',
      hardState: 'bytes',
      spans: 'bytes',
    },
    compact: { position: 'long' },
    reset: { order: 'long', position: 'long', epoch: 'long' },
    status: { replyTo: 'string', id: 'long' },
  },
  // What is persisted is bounded by what consensus lets be uncommitted, and a log has no holes.
  { reserved: ['recover', 'recoverMore', 'persist', 'reset'] },
)
