import { defineProtocol } from '../../runtime/protocol.ts'
import type { SessionsMessage } from './messages.ts'

const id = 'bytes'

export const sessionsProtocol = defineProtocol<SessionsMessage>(
  'sessions',
  {
    leader: { epoch: 'long', leader: 'int', self: 'boolean' },
    readReady: { id: 'long', position: 'long' },
    readFailed: { id: 'long' },
    handInAgain: {},
    opened: {
      lifetime: 'int',
      id,
      openedAt: 'long',
      ttlMillis: 'long',
      node: 'int',
      connection: 'long',
    },
    closed: { lifetime: 'int', id },
    forgetAll: {},
    raiseLevel: { level: 'int' },
    stateCommand: { entryKind: 'int', body: 'bytes' },
    appliedOwn: { sequence: 'long' },
    touched: { ids: 'bytes' },
    touchedRemotely: { node: 'int', batch: 'long', touches: 'bytes' },
    touchesConfirmed: { batch: 'long', lost: 'bytes' },
    leaseQuestions: { tag: 'long', ids: 'bytes', renew: 'boolean' },
    leaseQuestionsRemote: { node: 'int', tag: 'long', ids: 'bytes', renew: 'boolean' },
    leaseAnswers: { tag: 'long', ids: 'bytes', times: 'bytes', failed: 'boolean' },
    barrierReached: { id: 'long' },
    tick: {},
  },
  // A session that nobody knows of would never end.
  {
    reserved: [
      'opened',
      'closed',
      'forgetAll',
      'appliedOwn',
      // Sessions and leases live by these: they do not wait behind bulk.
      'leader',
      'readReady',
      'readFailed',
      'barrierReached',
      'touched',
      'touchedRemotely',
      'touchesConfirmed',
      'leaseQuestions',
      'leaseQuestionsRemote',
      'leaseAnswers',
    ],
  },
)
