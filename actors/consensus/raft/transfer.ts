/** Handing leadership over: asked for, or because the own disk stalls, or because this node leaves. */
import type { Progress } from '../progress.ts'
import type { RaftState } from './state.ts'

export function requestTransfer(state: RaftState, target: number): void {
  const fit = state.membership.voters.some(voter => voter.node === target)
  if (state.role !== 'leader' || !fit || state.transferTarget !== 0) {
    state.effects.push({ kind: 'transferEnded', target, done: false })
    return
  }
  if (target === state.self) {
    state.effects.push({ kind: 'transferEnded', target, done: true })
    return
  }
  state.transferTarget = target
  state.transferElapsed = 0
  state.transferAsked = false
}

/** To the voter that is furthest and was heard of lately; proposals wait for the next leader. */
export function handOver(state: RaftState): void {
  if (state.transferTarget !== 0) return
  let best: Progress | undefined
  for (const voter of state.membership.voters) {
    const peer = state.peers.get(voter.node)
    if (peer === undefined || peer.store !== voter.store || peer.state === 'checkpoint') continue
    if (best === undefined || isFitter(peer, best)) best = peer
  }
  if (best === undefined) return
  requestTransfer(state, best.node)
  checkTransfer(state)
}

function isFitter(one: Progress, other: Progress): boolean {
  if (one.active !== other.active) return one.active
  return one.match > other.match
}

/** The target may campaign once it has everything. */
export function checkTransfer(state: RaftState): void {
  const peer = state.peers.get(state.transferTarget)
  if (peer === undefined || state.transferAsked || peer.match < state.log.last) return
  state.transferAsked = true
  state.send(peer.node, { kind: 'timeoutNow', from: state.self, epoch: state.epoch })
}

export function tickTransfer(state: RaftState): void {
  if (state.transferTarget === 0) return
  state.transferElapsed++
  if (state.transferElapsed < state.limits.electionTicksMin) return
  state.effects.push({ kind: 'transferEnded', target: state.transferTarget, done: false })
  state.transferTarget = 0
}
