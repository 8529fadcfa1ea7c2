/**
 * What version 0 wrote: it confirmed no reads in appends, searched conflicts by position alone and
 * knew no transfer of leadership. Never changed again; a node still talks to one that knows only
 * these (../schemas.ts), which a test does over a live link.
 */
import type { OlderSchemas } from '../schemas.ts'

export const schemasV0: OlderSchemas = {
  'consensus.append': {
    type: 'record',
    name: 'consensus_append',
    fields: [
      { name: 'from', type: 'int' },
      { name: 'epoch', type: 'long' },
      { name: 'commit', type: 'long' },
      { name: 'previous', type: 'long' },
      { name: 'previousEpoch', type: 'long' },
      { name: 'count', type: 'int' },
      { name: 'entries', type: 'bytes' },
    ],
  },
  'consensus.appendReply': {
    type: 'record',
    name: 'consensus_appendReply',
    fields: [
      { name: 'from', type: 'int' },
      { name: 'epoch', type: 'long' },
      { name: 'store', type: 'string' },
      { name: 'accepted', type: 'boolean' },
      { name: 'position', type: 'long' },
      { name: 'hint', type: 'long' },
    ],
  },
  'consensus.voteRequest': {
    type: 'record',
    name: 'consensus_voteRequest',
    fields: [
      { name: 'from', type: 'int' },
      { name: 'epoch', type: 'long' },
      { name: 'pre', type: 'boolean' },
      { name: 'last', type: 'long' },
      { name: 'lastEpoch', type: 'long' },
      { name: 'round', type: 'int' },
    ],
  },
}
