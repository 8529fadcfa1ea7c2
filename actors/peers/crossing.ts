/**
 * The messages that cross nodes: their schemas are what two versions must agree on, and stand in
 * every handshake. All others stay within a process and may change freely.
 */
import type { KindCodec, Protocol } from '../../runtime/protocol.ts'
import { directory } from '../directory.ts'

export function crossingKinds(): KindCodec[] {
  return [
    ...kindsOf(directory.consensus.protocol, [
      'append',
      'appendReply',
      'voteRequest',
      'voteReply',
      'timeoutNow',
      'formation',
      'forward',
      'forwardRefused',
      'readIndex',
      'readIndexReply',
      'spaceTold',
    ]),
    ...kindsOf(directory.sessions.protocol, [
      'touchedRemotely',
      'touchesConfirmed',
      'leaseQuestionsRemote',
      'leaseAnswers',
    ]),
    ...kindsOf(directory.state.protocol, ['hash', 'level']),
    ...kindsOf(directory.control.protocol, ['memberChange', 'memberChangeDone']),
  ]
}

function kindsOf<M extends { readonly kind: string }>(
  protocol: Protocol<M>,
  kinds: readonly M['kind'][],
): KindCodec[] {
  return kinds.map(kind => protocol.kindOf(kind))
}
