/**
 * Bugs to be planted: each is a change of the source as it is loaded, and the simulator must find
 * it within its budget of seeds. A simulator that finds nothing proves nothing.
 */
import { registerHooks } from 'node:module'

export interface Canary {
  readonly file: string
  readonly from: string
  readonly to: string
  /** Where more than one place guards against it. */
  readonly also?: readonly Canary[]
  /** Of five nodes whose members come and go (member-options.ts). */
  readonly world?: 'members'
}

const pendingIsNotSeen = {
  file: 'actors/consensus/raft/changes.ts',
  from: 'const pending = state.memberships.latestPosition > state.commit',
  to: 'const pending = false',
}

/** Elsewhere a second change is refused too. */
const changesAreNotCounted: readonly Canary[] = [
  {
    file: 'actors/consensus/membership.ts',
    from: "if (isJoint(membership)) return { refused: 'changePending' }",
    to: '',
  },
  {
    file: 'actors/consensus/shell/operator-requests.ts',
    from: "(this.#changeAsked === undefined ? '' : 'refused: changePending')",
    to: "''",
  },
]

export const canaries: Readonly<Record<string, Canary>> = {
  /** The sync is asked for, and success is told before it is done. */
  acknowledgeBeforeSync: {
    file: 'storage/journal.ts',
    from: '    else if (this.#syncWithin(file, later)) {',
    to: '    else if ((file.sync(() => {}), true)) {',
  },
  /** What a failed sync left in the cache is taken for durable. */
  failedSyncIsForgotten: {
    file: 'storage/journal-open.ts',
    from: '    file.write(lastBatch.bytes, lastBatch.start)\n',
    to: '',
  },
  /** One of what is to be written is lost on its way to the journal, and nobody looks. */
  persistIsLost: {
    file: 'actors/journal/journal-actor.ts',
    from: '        this.#follows(message.order)\n        this.#open().persist(',
    to: '        if (message.order % 97 === 0) return\n        this.#open().persist(',
  },
  voteNotPersisted: {
    file: 'actors/consensus/raft/state.ts',
    from: 'encodeHardState({ epoch, votedFor, formed })',
    to: 'encodeHardState({ epoch, votedFor: 0, formed })',
  },
  /** The second one forgets the voters whose agreement the first one still needs. */
  twoMembershipChangesAtOnce: {
    ...pendingIsNotSeen,
    also: changesAreNotCounted,
    world: 'members',
  },
  /**
   * By itself this would change nothing: changes are joint, and while the newest membership of the log is not
   * known to be committed none is begun. So that guard is gone too.
   */
  membershipChangeBeforeOwnCommit: {
    file: 'actors/consensus/raft/changes.ts',
    from: 'if (!ownCommit || pending || ',
    to: 'if (',
    also: changesAreNotCounted,
    world: 'members',
  },
  /** Raft's figure 8. */
  commitOldEpochByCounting: {
    file: 'actors/consensus/raft/commit-rule.ts',
    from: 'return state.log.epochAt(reached) === state.epoch ? reached : state.commit',
    to: 'return reached',
  },
  /** Kept memory that is recycled. */
  membershipIsAView: {
    file: 'actors/state/state-actor.ts',
    from: 'command.bytes.slice(command.start, command.end)',
    to: 'command.bytes.subarray(command.start, command.end)',
  },
  checkpointForgetsAttachments: {
    file: 'actors/state/replica.ts',
    from: 'if (node !== 0) this.lifetimes.attach(',
    to: 'if (node === -1) this.lifetimes.attach(',
  },
  sentAgainIsAppliedAgain: {
    file: 'actors/state/origins.ts',
    from: 'sequence !== (origin.last[stream] ?? 0) + 1)',
    to: 'sequence > (origin.last[stream] ?? 0) + 1)',
  },
  ephemeralOutlivesItsSession: {
    file: 'actors/state/zookeeper-sessions.ts',
    from: 'for (const node of owned) {',
    to: 'for (const node of owned.slice(1)) {',
  },
  watchesThatComeBackMissChanges: {
    file: 'actors/state/zookeeper-catch-up.ts',
    from: 'return tree.mzxid(node) > since ?',
    to: 'return tree.mzxid(node) < 0 ?',
  },
  eventAfterTheAnswer: {
    file: 'actors/watches/watches-actor.ts',
    from: '#znodeEvents += 1\n      this.#zookeeper.tell({',
    to: '#znodeEvents += 1\n      const tell = message => this.#zookeeper.tell(message)\n      const late = message => context.host.timers.after(1, () => tell(message))\n      late({',
  },
  failedMultiIsNotUndone: {
    file: 'actors/state/zookeeper-multi.ts',
    from: 'tree.rollback()\n    results.abandon()\n    writes.changes = []\n    answerFailure',
    to: 'tree.commit()\n    results.abandon()\n    writes.changes = []\n    answerFailure',
  },
  linearizableReadIsLocal: {
    file: 'actors/gateways/etcd-unary.ts',
    from: '    if (range.serializable) return this.#read(',
    to: '    if (range.serializable || true) return this.#read(',
  },
  watchForgetsWhatItMissed: {
    file: 'actors/watches/key-watches.ts',
    from: 'create, create.startRevision || revision + 1)',
    to: 'create, Math.max(create.startRevision, revision + 1))',
  },
  leaseIsNotRenewed: {
    file: 'actors/sessions/sessions-actor.ts',
    from: 'if (alive && renew) deadline.atMillis',
    to: 'if (alive && !renew) deadline.atMillis',
  },
  expiryOfAnotherEpoch: {
    file: 'actors/state/state-actor.ts',
    from: 'if (view.getFloat64(start + lifetimeEnd.epoch) !== command.epoch) return',
    to: 'if (view.getFloat64(start + lifetimeEnd.epoch) > command.epoch) return',
  },
  syncIsLocal: {
    file: 'actors/gateways/zookeeper-syncs.ts',
    from: 'this.#batches.add({ connection, request })',
    to: 'this.#effects.ready(connection, request, 0)',
  },
  sessionsEndAtHalfTheirTime: {
    file: 'actors/sessions/deadlines.ts',
    from: 'if (one.atMillis > nowMillis) this.#file(one)',
    to: 'if (one.atMillis - one.ttlMillis / 2 > nowMillis) this.#file(one)',
  },
  refusedIsAppliedLater: {
    file: 'actors/state/proposals.ts',
    from: 'chunk.untilMillis.push(life.untilMillis)',
    to: 'chunk.untilMillis.push(Number.POSITIVE_INFINITY)',
  },
  connectionsOutliveTheirSessions: {
    file: 'actors/gateways/zookeeper-standing.ts',
    from: 'nowMillis < connection.aliveUntilMillis',
    to: 'nowMillis < Number.POSITIVE_INFINITY',
  },
  /** What an earlier leader asked, and so counted, is answered to the next one. */
  readConfirmationsAreNotReset: {
    file: 'actors/consensus/raft/roles.ts',
    from: '  state.confirmSeen = 0\n',
    to: '',
  },
  /** A lease whose end is proposed is renewed, and ends. */
  endingLeaseIsRenewed: {
    file: 'actors/sessions/sessions-actor.ts',
    from: 'const alive = deadline !== undefined && deadline.proposedIn !== this.#epoch',
    to: 'const alive = deadline !== undefined',
  },
}

/** To be called before anything that is changed is imported. */
export function plant(name: string): void {
  const canary = canaries[name]
  if (canary === undefined)
    throw new Error(`no such bug: ${name}; there are ${Object.keys(canaries).join(', ')}`)
  const places = new Map(
    [canary, ...(canary.also ?? [])].map(one => [
      new URL(`../../${one.file}`, import.meta.url).href,
      one,
    ]),
  )
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const place = places.get(url)
      if (place === undefined) return loaded
      return { ...loaded, source: change(String(loaded.source), place) }
    },
  })
}

function change(source: string, { file, from, to }: Canary): string {
  const parts = source.split(from)
  if (parts.length !== 2)
    throw new Error(`${file} does not hold the place of this bug exactly once`)
  return parts.join(to)
}
