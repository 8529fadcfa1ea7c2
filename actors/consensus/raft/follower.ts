/** What a follower does with appends, and what it answers when. */
import { entryHeaderBytes, offset, readUint64 } from '../entry.ts'
import { invariant } from '../invariant.ts'
import type { AppendMessage, AppendReplyMessage } from './messages.ts'
import { becomeFollower } from './roles.ts'
import type { RaftState } from './state.ts'

export function receiveAppend(state: RaftState, append: AppendMessage): void {
  if (append.epoch < state.epoch) {
    state.send(append.from, refusal(state, append, 0, 0))
    return
  }
  follow(state, append)
  if (!fits(state, append)) {
    const hint = state.log.lastPositionWithEpochAtMost(append.previous - 1, append.previousEpoch)
    const known = hint >= state.log.base
    state.send(
      append.from,
      refusal(state, append, known ? hint : 0, known ? state.log.epochAt(hint) : 0),
    )
    return
  }
  takeEntries(state, append)
  const before = state.commit
  state.commitTo(Math.min(append.commit, state.verified))
  const news = append.count === 0 && state.commit > before
  if (append.confirm > state.confirmSeen) state.confirmSeen = append.confirm
  // News of a commit alone need no answer: it would say again what the leader was told.
  const said = state.repliedTo === state.verified && state.confirmReplied === state.confirmSeen
  if (!news || !said) state.replyDue = true
}

/**
 * At the end of a round. What the leader may count leaves with the persist that makes it so; that we
 * still follow (a read waits for it) is said at once.
 */
export function flushReply(state: RaftState): void {
  if (!state.replyDue) return
  state.replyDue = false
  const { persistence, verified } = state
  const unconfirmed = state.confirmSeen > state.confirmReplied
  if (verified <= persistence.durable) state.send(state.leader, acceptance(state, verified))
  else {
    if (persistence.hasEntries(state.log))
      persistence.say(state.leader, acceptance(state, verified))
    else state.replyWhenDurable = true
    if (unconfirmed) state.send(state.leader, acceptance(state, persistence.durable))
  }
  state.confirmReplied = state.confirmSeen
  state.repliedTo = verified
}

/** A persist that was under way when the leader asked is done. */
export function replyOncePersisted(state: RaftState): void {
  if (!state.replyWhenDurable || state.leader === 0) return
  state.replyWhenDurable = false
  state.replyDue = true
}

function follow(state: RaftState, append: AppendMessage): void {
  const known = state.role === 'follower' && state.leader === append.from
  if (append.epoch > state.epoch || !known) {
    invariant(state.role !== 'leader' || append.epoch > state.epoch, 'one leader an epoch')
    becomeFollower(state, append.epoch, append.from)
  }
  state.leader = append.from
  state.leaderGone = false
  state.campaignInTicks = 0
  state.deferredPreVote = undefined
  state.electionElapsed = 0
  if (!state.formed) {
    state.formed = true
    state.hardStateChanged()
  }
}

function fits(state: RaftState, append: AppendMessage): boolean {
  const { log } = state
  if (append.previous <= log.base) return true
  return append.previous <= log.last && log.epochAt(append.previous) === append.previousEpoch
}

/** Appends what is new; from the first entry that differs on, ours was never committed and goes. */
function takeEntries(state: RaftState, append: AppendMessage): void {
  const { log } = state
  const end = append.previous + append.count
  if (end > state.verified) state.verified = end
  if (append.count === 0) return
  if (append.previous === log.last) {
    log.append(append.entries, append.count)
  } else {
    takeOverlapping(state, append)
  }
  if (state.takeMemberships()) state.membershipChanged()
}

function takeOverlapping(state: RaftState, append: AppendMessage): void {
  const { log } = state
  const { entries } = append
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  let at = 0
  let position = append.previous + 1
  const end = append.previous + append.count
  while (position <= end) {
    const known = position <= log.last
    if (
      known &&
      position > log.base &&
      log.epochAt(position) !== readUint64(view, at + offset.epoch)
    ) {
      state.truncate(position)
    }
    if (position > log.last) break
    const length = view.getUint32(at, true)
    invariant(length >= entryHeaderBytes, 'entries are whole')
    at += length
    position++
  }
  if (position <= end) log.append(entries.subarray(at), end - position + 1)
}

function acceptance(state: RaftState, position: number): AppendReplyMessage {
  return {
    kind: 'appendReply',
    from: state.self,
    epoch: state.epoch,
    store: state.store,
    accepted: true,
    position: Math.min(position, state.verified),
    hint: 0,
    hintEpoch: 0,
    confirm: state.confirmSeen,
  }
}

function refusal(
  state: RaftState,
  append: AppendMessage,
  hint: number,
  hintEpoch: number,
): AppendReplyMessage {
  return {
    kind: 'appendReply',
    from: state.self,
    epoch: state.epoch,
    store: state.store,
    accepted: false,
    position: append.previous,
    hint,
    hintEpoch,
    confirm: append.epoch < state.epoch ? 0 : append.confirm,
  }
}
