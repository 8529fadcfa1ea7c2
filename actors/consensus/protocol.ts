import { defineProtocol } from '../../runtime/protocol.ts'
import type { ConsensusMessage } from './messages.ts'

const batch = { first: 'long', count: 'int', entries: 'bytes' } as const

export const consensusProtocol = defineProtocol<ConsensusMessage>(
  'consensus',
  {
    propose: { entries: 'bytes', count: 'int' },
    readRequest: { replyTo: 'string', id: 'long' },
    applied: { position: 'long' },
    checkpointed: { position: 'long', epoch: 'long' },
    checkpointInstalled: { position: 'long', epoch: 'long', time: 'long', membership: 'bytes' },
    tick: {},
    proposeNow: {},
    transfer: { replyTo: 'string', id: 'long', target: 'int' },
    changeMembership: { replyTo: 'string', id: 'long', change: 'bytes' },
    leaderQuestion: { replyTo: 'string' },
    status: { replyTo: 'string', id: 'long' },

    persisted: { id: 'long' },
    diskFull: { id: 'long' },
    spaceReturned: {},
    recoveredEntries: batch,
    recovered: { last: 'long', hardState: 'bytes', damage: 'string' },

    linkUp: { node: 'int', storeId: 'string', incarnation: 'long' },
    linkDown: { node: 'int', closed: 'boolean' },
    checkpointSent: { node: 'int', sent: 'boolean' },

    forward: { from: 'int', entries: 'bytes', count: 'int' },
    readIndex: { from: 'int', id: 'long' },
    readIndexReply: { from: 'int', id: 'long', position: 'long' },

    append: {
      from: 'int',
      epoch: 'long',
      previous: 'long',
      previousEpoch: 'long',
      commit: 'long',
      confirm: 'long',
      count: 'int',
      entries: 'bytes',
    },
    appendReply: {
      from: 'int',
      epoch: 'long',
      store: 'string',
      accepted: 'boolean',
      position: 'long',
      hint: 'long',
      hintEpoch: 'long',
      confirm: 'long',
    },
    voteRequest: {
      from: 'int',
      epoch: 'long',
      pre: 'boolean',
      store: 'string',
      transfer: 'boolean',
      last: 'long',
      lastEpoch: 'long',
    },
    voteReply: {
      from: 'int',
      epoch: 'long',
      store: 'string',
      pre: 'boolean',
      granted: 'boolean',
    },
    timeoutNow: { from: 'int', epoch: 'long' },
    formation: {
      from: 'int',
      store: 'string',
      members: 'string',
      recorded: 'bytes',
      formed: 'boolean',
    },
  },
  {
    // Between nodes these go ahead of queued bulk (appends, forwards) and are never dropped.
    reserved: [
      'persisted',
      'diskFull',
      'spaceReturned',
      'linkUp',
      'linkDown',
      'applied',
      'appendReply',
      'voteRequest',
      'voteReply',
      'timeoutNow',
      'formation',
      'readIndex',
      'readIndexReply',
    ],
  },
)
