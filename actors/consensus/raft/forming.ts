/** Raft's side of the formation (D14): the first membership as entry 1 of an epoch without leader. */
import { membershipEntry } from '../entries.ts'
import {
  type FormationMessage,
  formationEpoch,
  formationTicks,
  type FormationStep,
} from '../formation.ts'
import { decodeMembership, emptyMembership, encodeMembership, isVoter } from '../membership.ts'
import { campaign } from './election.ts'
import type { RaftState } from './state.ts'

const firstPosition = 1

/** Nobody but us may be needed. */
export function startFormation(state: RaftState): void {
  if (state.formed) return
  announce(state)
  carryOut(state, state.formation.advance(recordedBody(state)))
}

export function tickFormation(state: RaftState): void {
  if (state.formed && state.isBound) return
  state.formationElapsed++
  if (state.formationElapsed < formationTicks) return
  state.formationElapsed = 0
  announce(state)
}

export function receiveFormation(state: RaftState, message: FormationMessage): void {
  if (state.formed) {
    if (!message.formed) state.send(message.from, state.formation.announcement(noBytes, true))
    return
  }
  // Only who is to be in it has a say in whether a cluster is formed here.
  const { others } = state.formation
  if (others.length > 0 && others.every(({ node }) => node !== message.from)) return
  if (message.formed && state.log.last < firstPosition) {
    // The cluster exists without this store: never form another.
    state.formed = true
    state.hardStateChanged()
    return
  }
  carryOut(state, state.formation.received(message, recordedBody(state)))
}

/** The record of the first membership is durable: that may be told, and may have been the last one. */
export function formationPersisted(state: RaftState): void {
  if (state.formed) return
  announce(state)
  carryOut(state, state.formation.advance(recordedBody(state)))
}

function carryOut(state: RaftState, step: FormationStep): void {
  switch (step.kind) {
    case 'nothing':
      return
    case 'membersDiffer':
      state.membersDiffer = true
      return
    case 'create':
      if (state.log.last > 0) return
      record(
        state,
        encodeMembership({ ...emptyMembership, formation: state.store, voters: step.voters }),
      )
      return
    case 'record':
      if (state.log.last > 0 || !isVoter(decodeMembership(step.body), state.self, state.store))
        return
      record(state, step.body)
      return
    case 'complete':
      complete(state)
  }
}

function record(state: RaftState, body: Uint8Array): void {
  state.log.append(membershipEntry(body, firstPosition, formationEpoch, 0), 1)
  state.takeMemberships()
  state.membershipChanged()
  state.setEpoch(formationEpoch, 0)
}

/** All have it, so it is committed. The first member campaigns at once, the others give it time. */
function complete(state: RaftState): void {
  state.formed = true
  state.hardStateChanged()
  state.commitTo(firstPosition)
  announce(state)
  state.eagerCampaigns = 1
  if (state.rankAmongVoters(0) === 0) campaign(state, true, false)
  else state.resetElectionTimer(false)
}

function announce(state: RaftState): void {
  const message = state.formation.announcement(recordedBody(state), state.formed && state.isBound)
  for (const { node } of state.formation.others) state.send(node, message)
}

/** What this node has recorded for good. */
function recordedBody(state: RaftState): Uint8Array {
  const durable = state.persistence.durable >= firstPosition && state.log.base < firstPosition
  return durable && state.log.last >= firstPosition ? state.log.bodyAt(firstPosition) : noBytes
}

const noBytes = new Uint8Array(0)
