/** One test for each rule of the Raft paper (and of the dissertation where marked); table in the README. */
import { describe, expect, test } from 'vitest'
import type { Role } from '../../../actors/consensus/interface.ts'
import { Formation } from '../../../actors/consensus/formation.ts'
import { changed, encodeMembership } from '../../../actors/consensus/membership.ts'
import { votersMax } from '../../../actors/consensus/quorum.ts'
import { Cluster, entryOf, type RaftEffect, testLimits } from './cluster.ts'
import { figure8 } from './figure-8.ts'
import { append, appendReply, Machine, sent, sentAtOnce, voteRequest } from './machine.ts'

const { electionTicksMin, heartbeatTicks } = testLimits
const batch = (...bodies: string[]) => bodies.map(body => ({ entries: entryOf(body), count: 1 }))

function inRole(role: Role, past: ConstructorParameters<typeof Machine>[0] = {}): Machine {
  const machine = new Machine(past)
  if (role === 'leader') machine.lead()
  if (role === 'candidate') machine.tick(2 * electionTicksMin)
  if (role === 'follower') machine.receive(append({ epoch: machine.status.epoch }))
  expect(machine.status.role).toBe(role)
  return machine
}

describe('terms (5.1)', () => {
  for (const role of ['follower', 'candidate', 'leader'] as const) {
    test(`a ${role} that sees a higher term takes it over and follows`, () => {
      const machine = inRole(role)
      const higher = machine.status.epoch + 5
      machine.receive(append({ epoch: higher }))
      expect(machine.status).toMatchObject({ role: 'follower', epoch: higher, leader: 2 })
    })
  }

  test('a request of a stale term is refused with the newer one', () => {
    const machine = new Machine({ epoch: 7 })
    const [reply] = sent(machine.receive(append({ epoch: 6, epochs: [6] })))
    expect(reply).toMatchObject({ kind: 'appendReply', accepted: false, epoch: 7 })
    const [vote] = sent(machine.receive(voteRequest({ epoch: 6, last: 9, lastEpoch: 6 })))
    expect(vote).toMatchObject({ kind: 'voteReply', granted: false, epoch: 7 })
    expect(machine.status.last).toBe(1)
  })
})

describe('election (5.2)', () => {
  test('a node starts as a follower', () => {
    expect(new Machine().status.role).toBe('follower')
  })

  test('a leader sends heartbeats to all in each interval', () => {
    const machine = inRole('leader')
    machine.persist()
    const beats = sentAtOnce(machine.tick(heartbeatTicks), 'append')
    expect(beats).toHaveLength(2)
  })

  test('a follower that hears nothing campaigns: next term, own vote, requests to all', () => {
    const machine = new Machine({ epoch: 3 })
    const asked = sent(machine.tick(2 * electionTicksMin), 'voteRequest')
    expect(asked.slice(0, 2)).toMatchObject([
      { pre: true, epoch: 4 },
      { pre: true, epoch: 4 },
    ])
    expect(machine.status.epoch).toBe(3)
    for (const voter of machine.status.membership.voters.slice(1)) {
      machine.receive(machine.vote(voter, true))
    }
    expect(machine.status).toMatchObject({ role: 'candidate', epoch: 4 })
    expect(machine.persist()).toMatchObject([
      { pre: false, epoch: 4 },
      { pre: false, epoch: 4 },
    ])
  })

  test('one vote a term, to whoever asks first, and again to the same', () => {
    const machine = new Machine({ nodes: 5 })
    machine.receive(voteRequest({ from: 2, epoch: 5 }))
    expect(machine.persist()).toMatchObject([{ granted: true, epoch: 5 }])
    const refused = sent(machine.receive(voteRequest({ from: 3, epoch: 5 })), 'voteReply')
    expect(refused).toMatchObject([{ granted: false }])
    machine.receive(voteRequest({ from: 2, epoch: 5 }))
    expect(machine.persist()).toMatchObject([{ granted: true }])
  })

  test('a vote is said only once it is durable', () => {
    const machine = new Machine()
    const effects = machine.receive(voteRequest({ epoch: 5 }))
    expect(sentAtOnce(effects, 'voteReply')).toEqual([])
    expect(machine.persist()).toMatchObject([{ kind: 'voteReply', granted: true }])
  })

  test('a majority elects, and nothing less; its own vote counts once it is durable', () => {
    const machine = new Machine({ nodes: 5 })
    machine.tick(2 * electionTicksMin)
    const others = machine.status.membership.voters.slice(1)
    for (const voter of others) machine.receive(machine.vote(voter, true))
    machine.receive(machine.vote(others[0]!, false))
    machine.receive(machine.vote(others[1]!, false))
    expect(machine.status.role).toBe('candidate')
    machine.persist()
    expect(machine.status.role).toBe('leader')
  })

  test('a candidate that a majority refuses follows again', () => {
    const machine = inRole('candidate', { nodes: 5 })
    for (const voter of machine.status.membership.voters.slice(1, 4)) {
      machine.receive({ ...machine.vote(voter, true, false), epoch: machine.status.epoch })
    }
    expect(machine.status.role).toBe('follower')
  })

  test('a candidate follows a leader of its own term', () => {
    const machine = new Machine()
    machine.tick(2 * electionTicksMin)
    machine.receive(machine.vote(machine.status.membership.voters[1]!, true))
    expect(machine.status).toMatchObject({ role: 'candidate', epoch: 2 })
    machine.receive(append({ from: 3, epoch: 2 }))
    expect(machine.status).toMatchObject({ role: 'follower', epoch: 2, leader: 3 })
  })

  test('a candidate without a majority tries again after another time-out', () => {
    const machine = inRole('candidate')
    const before = sent(machine.effects, 'voteRequest').length
    machine.tick(2 * electionTicksMin)
    expect(sent(machine.effects, 'voteRequest').length).toBeGreaterThan(before)
  })

  test('time-outs are spread over a range by the seed', () => {
    const waits = new Set<number>()
    for (let seed = 1; seed <= 60; seed++) {
      const machine = new Machine({ seed })
      machine.receive(append())
      let ticks = 0
      while (machine.status.role === 'follower') {
        machine.tick(1)
        ticks++
      }
      expect(ticks).toBeGreaterThanOrEqual(electionTicksMin)
      expect(ticks).toBeLessThanOrEqual(2 * electionTicksMin)
      waits.add(ticks)
    }
    expect(waits.size).toBeGreaterThan(electionTicksMin / 2)
  })
})

describe('replication (5.3)', () => {
  test('a proposal is appended in the own term and sent to all at once', () => {
    const machine = inRole('leader')
    const { last, epoch } = machine.status
    for (const from of [2, 3]) machine.receive(appendReply({ from, epoch, position: last }))
    const effects = machine.step({ kind: 'proposed', batches: batch('a'), now: 5 })
    expect(machine.status.last).toBe(last + 1)
    expect(sentAtOnce(effects, 'append')).toMatchObject([
      { previous: last, previousEpoch: epoch, count: 1 },
      { previous: last, previousEpoch: epoch, count: 1 },
    ])
  })

  test('an entry is committed once a majority has it, and followers hear of it', () => {
    const machine = inRole('leader', { nodes: 5 })
    machine.persist()
    const { last, epoch } = machine.status
    machine.receive(appendReply({ from: 2, epoch, position: last }))
    expect(machine.status.commit).toBeLessThan(last)
    const effects = machine.receive(appendReply({ from: 3, epoch, position: last }))
    expect(machine.status.commit).toBe(last)
    expect(effects).toContainEqual({ kind: 'committedTo', position: last })
    expect(sentAtOnce(effects, 'append').every(one => 'commit' in one && one.commit === last)).toBe(
      true,
    )
  })

  test('a leader does not count its own entry before it is durable (10.2.1)', () => {
    const machine = inRole('leader')
    const { last, epoch, commit } = machine.status
    machine.receive(appendReply({ from: 2, epoch, position: last }))
    expect(machine.status.commit).toBe(commit)
    machine.persist()
    expect(machine.status.commit).toBe(last)
  })

  test('a commit of an own entry commits what came before it', () => {
    const machine = inRole('leader', { epochs: [1, 1, 2, 2] })
    machine.persist()
    const { last, epoch } = machine.status
    machine.receive(appendReply({ from: 2, epoch, position: last - 1 }))
    expect(machine.status.commit).toBe(0)
    machine.receive(appendReply({ from: 2, epoch, position: last }))
    expect(machine.status.commit).toBe(last)
  })

  test('a follower commits what the leader committed, no further than what it was sent', () => {
    const machine = new Machine({ epochs: [1, 1] })
    machine.receive(append({ previous: 2, epoch: 2, commit: 9, epochs: [2] }))
    expect(machine.status.commit).toBe(3)
  })

  test('a follower refuses an append that does not fit, and says where the logs may meet', () => {
    const machine = new Machine({ epochs: [1, 4, 4, 4, 6] })
    const refusal = (previous: number, previousEpoch: number) =>
      sent(machine.receive(append({ epoch: 9, previous, previousEpoch, epochs: [9] })))[0]
    expect(refusal(9, 8)).toMatchObject({ accepted: false, hint: 6, hintEpoch: 6 })
    expect(refusal(5, 5)).toMatchObject({ accepted: false, hint: 4, hintEpoch: 4 })
    expect(refusal(6, 3)).toMatchObject({ accepted: false, hint: 2, hintEpoch: 1 })
  })

  // Figure 7: logs that a leader of term 8 may meet; its own has 1 1 1 4 4 5 5 6 6 6.
  const leaderEpochs = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
  const figure7: Record<string, number[]> = {
    'a: lacks the last': [1, 1, 1, 4, 4, 5, 5, 6, 6],
    'b: lacks many': [1, 1, 1, 4],
    'c: has one more': [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    'd: has two more of another term': [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    'e: lacks and has others': [1, 1, 1, 4, 4, 4, 4],
    'f: differs for long': [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  }
  for (const [name, epochs] of Object.entries(figure7)) {
    test(`the leader makes a follower's log its own: ${name}`, () => {
      const leader = new Machine({ epochs: leaderEpochs, epoch: 7 }).lead()
      const follower = new Machine({ self: 2, epochs, epoch: 7 })
      const rounds = reconcile(leader, follower)
      expect(follower.status.last).toBe(leader.status.last)
      expect(epochsOf(follower)).toEqual([...leaderEpochs, 8])
      // One round a term that differs, not one an entry.
      expect(rounds).toBeLessThanOrEqual(4)
    })
  }

  test('an append that comes twice changes nothing (5.5)', () => {
    const machine = new Machine()
    const message = append({ epochs: [2, 2] })
    machine.receive(message)
    machine.persist()
    const again = machine.receive(message)
    expect(again.filter(effect => effect.kind === 'persist')).toEqual([])
    expect(machine.status.last).toBe(3)
  })

  test('an older append of the same leader does not shorten the log', () => {
    const machine = new Machine()
    machine.receive(append({ epochs: [2, 2, 2] }))
    machine.receive(append({ epochs: [2] }))
    expect(machine.status.last).toBe(4)
  })

  test('a follower acknowledges only what is durable', () => {
    const machine = new Machine()
    const effects = machine.receive(append({ epochs: [2, 2] }))
    expect(sentAtOnce(effects, 'appendReply')).toEqual([])
    expect(machine.persist()).toMatchObject([{ accepted: true, position: 3 }])
  })

  test('a leader never removes or changes entries of its own log', () => {
    const machine = inRole('leader', { epochs: [1, 1] })
    const { last, epoch } = machine.status
    machine.receive(
      appendReply({ accepted: false, epoch, position: last - 1, hint: 1, hintEpoch: 1 }),
    )
    machine.receive(append({ from: 3, epoch: epoch - 1, previous: 1, epochs: [1] }))
    expect(machine.status).toMatchObject({ role: 'leader', last })
  })
})

describe('safety (5.4)', () => {
  const own = [1, 1, 3, 3]
  const cases: [string, number, number, boolean][] = [
    ['a newer last term', 2, 4, true],
    ['the same term, longer', 6, 3, true],
    ['the same term, as long', 5, 3, true],
    ['the same term, shorter', 4, 3, false],
    ['an older last term, however long', 99, 2, false],
  ]
  for (const [name, last, lastEpoch, granted] of cases) {
    test(`a vote for a log with ${name} is ${granted ? 'granted' : 'refused'} (5.4.1)`, () => {
      const machine = new Machine({ epochs: own })
      const effects = machine.receive(voteRequest({ epoch: 9, last, lastEpoch }))
      expect(sent(effects, 'voteReply')).toMatchObject([{ granted }])
    })
  }

  test('an entry of an older term is not committed by counting (5.4.2, figure 8)', () => {
    const cluster = figure8()
    expect(cluster.status(5).role).toBe('leader')
  })
})

describe('membership (6) and leadership', () => {
  test('a joint membership needs both majorities', () => {
    const cluster = formed(3)
    addVoter(cluster, 4)
    addVoter(cluster, 5)
    // One at a time: the second is refused.
    cluster.change(1, { kind: 'remove', node: 2 })
    cluster.change(1, { kind: 'remove', node: 3 })
    const refusals = cluster.node(1).effects.filter(effect => effect.kind === 'membershipRefused')
    expect(refusals).toEqual([{ kind: 'membershipRefused', reason: 'changePending', silent: [] }])
    // Of the old set 1 2 3 4 5 only 1 and 4 hear of it; of the new one, 1 3 4 5, that is no majority either.
    cluster.stabilize(({ from, to }) => ![1, 4].includes(from) || ![1, 4].includes(to))
    expect(cluster.status(1).membership.outgoing).toHaveLength(5)
    const { commit } = cluster.status(1)
    cluster.stabilize()
    cluster.tick(1, heartbeatTicks)
    cluster.stabilize()
    expect(cluster.status(1).commit).toBeGreaterThan(commit)
    expect(cluster.status(1).membership.outgoing).toEqual([])
  })

  test('no change is begun that the voters who answer could not finish', () => {
    const cluster = formed(3)
    cluster.crash(3)
    const refusals = (): RaftEffect[] =>
      cluster.node(1).effects.filter(({ kind }) => kind === 'membershipRefused')
    cluster.change(1, { kind: 'remove', node: 2 })
    expect(refusals()).toEqual([
      { kind: 'membershipRefused', reason: 'unhealthyCluster', silent: [3] },
    ])
    expect(cluster.status(1).membership.outgoing).toEqual([])
    // The lost one may go: of both sets, 1 2 3 and 1 2, there is a majority.
    cluster.change(1, { kind: 'remove', node: 3 })
    cluster.stabilize()
    expect(cluster.status(1).membership.voters.map(({ node }) => node)).toEqual([1, 2])
    // Nor is anything begun once the other one is silent, whatever it would change.
    cluster.crash(2)
    expect(cluster.status(1).role).toBe('leader')
    const member = { node: 4, store: 's4', address: 'n4' }
    cluster.change(1, { kind: 'addLearner', member })
    expect(cluster.status(1).membership.learners).toEqual([])
    expect(refusals().at(-1)).toMatchObject({ reason: 'unhealthyCluster', silent: [2] })
  })

  test('a membership is in force once appended, before it is committed', () => {
    const cluster = formed(3)
    cluster.change(1, { kind: 'remove', node: 3 })
    expect(cluster.status(1).membership.outgoing).toHaveLength(3)
    expect(cluster.status(1).membership.voters).toHaveLength(2)
  })

  test('a membership entry that is truncated is in force no more', () => {
    const cluster = formed(3)
    cluster.change(1, { kind: 'remove', node: 3 })
    cluster.stabilize(() => true)
    cluster.crash(1, false)
    cluster.elect()
    cluster.start(1)
    cluster.tick(cluster.newestLeader(), heartbeatTicks)
    cluster.stabilize()
    expect(cluster.status(1).membership.voters).toHaveLength(3)
    expect(cluster.status(1).membership.outgoing).toEqual([])
  })

  test('what a node that is no member says changes nothing; a leader that is not known yet is followed', () => {
    const leader = inRole('leader')
    const { epoch, last } = leader.status
    const stranger = { from: 9, epoch: epoch + 7, store: 's9' }
    leader.receive(appendReply({ ...stranger, accepted: false }))
    leader.receive({ kind: 'voteReply', ...stranger, pre: false, granted: false })
    leader.receive({ kind: 'timeoutNow', from: 9, epoch })
    expect(leader.status).toMatchObject({ role: 'leader', epoch, last })
    const follower = inRole('follower')
    follower.receive(append({ from: 9, epoch: follower.status.epoch + 1 }))
    expect(follower.status).toMatchObject({ role: 'follower', leader: 9 })
  })

  test('a leader that is not in the new set leads until it is committed, then not', () => {
    const cluster = formed(3)
    cluster.change(1, { kind: 'remove', node: 1 })
    expect(cluster.status(1).role).toBe('leader')
    cluster.stabilize()
    expect(cluster.status(1).role).toBe('waiting')
    expect(cluster.newestLeader()).toBeGreaterThan(1)
  })

  test('a removed voter is needed until its removal is committed, and campaigns (dissertation 4.2.2)', () => {
    const cluster = formed(2)
    cluster.change(1, { kind: 'remove', node: 2 })
    cluster.persistOne(1)
    cluster.deliver(0)
    cluster.persistOne(2)
    cluster.deliver(0)
    // The leader has left the joint membership; node 2 has that entry, the leader loses it.
    cluster.deliver(0)
    cluster.persistOne(2)
    cluster.crash(1, false)
    cluster.queue = []
    cluster.start(1)
    expect(cluster.status(1).membership.outgoing).toHaveLength(2)
    expect(cluster.status(2).membership).toMatchObject({
      voters: [{ node: 1 }],
      outgoing: [],
    })
    cluster.elect()
    cluster.tick(cluster.newestLeader(), heartbeatTicks)
    cluster.stabilize()
    expect(cluster.status(1).membership).toMatchObject({
      voters: [{ node: 1 }],
      outgoing: [],
    })
    expect(cluster.elect()).toBe(1)
  })

  test('who hears a leader disturbs nobody and is disturbed by nobody (6, 9.6)', () => {
    const machine = inRole('follower')
    expect(machine.receive(voteRequest({ from: 3, epoch: 9, last: 99, lastEpoch: 8 }))).toEqual([])
    expect(machine.receive(voteRequest({ from: 3, epoch: 9, pre: true, last: 99 }))).toEqual([])
    expect(machine.status.epoch).toBe(1)
  })

  test('a pre-vote changes nothing at either end (9.6)', () => {
    const machine = new Machine({ epoch: 3 })
    const effects = machine.receive(voteRequest({ pre: true, epoch: 4, last: 5, lastEpoch: 3 }))
    expect(sentAtOnce(effects, 'voteReply')).toMatchObject([{ pre: true, granted: true, epoch: 4 }])
    expect(effects.filter(effect => effect.kind === 'persist')).toEqual([])
    expect(machine.status.epoch).toBe(3)
  })

  test('a leader that a majority does not answer for an election time-out steps down (6.2)', () => {
    const machine = inRole('leader', { nodes: 5 })
    const { epoch } = machine.status
    machine.receive(appendReply({ from: 2, epoch, position: 1 }))
    machine.tick(electionTicksMin)
    expect(machine.status.role).toBe('follower')
  })

  test('a leader hands over only to one that has everything (3.10)', () => {
    const machine = inRole('leader')
    machine.persist()
    const { last, epoch } = machine.status
    const early = machine.step({ kind: 'transferRequested', target: 3 })
    expect(sent(early, 'timeoutNow')).toEqual([])
    const late = machine.receive(appendReply({ from: 3, epoch, position: last }))
    expect(sent(late, 'timeoutNow')).toHaveLength(1)
  })

  test('a leader whose disk stands still hands over to one that it hears of', () => {
    const machine = inRole('leader', { nodes: 3 })
    machine.persist()
    const { last, epoch } = machine.status
    for (const from of [2, 3]) machine.receive(appendReply({ from, epoch, position: last }))
    machine.tick(electionTicksMin)
    machine.receive(appendReply({ from: 3, epoch, position: last }))
    machine.step({ kind: 'proposed', batches: batch('never durable here'), now: 1 })
    machine.tick(Math.ceil(electionTicksMin / 2))
    const effects = machine.receive(appendReply({ from: 3, epoch, position: machine.status.last }))
    const told = effects.find(one => one.kind === 'send' && one.message.kind === 'timeoutNow')
    expect(told).toMatchObject({ to: 3 })
  })

  test('no cluster begins with a damaged store', () => {
    const initial = [1, 2].map(node => ({ node, address: `n${node}` }))
    const members = '1=n1,2=n2'
    const nothing = new Uint8Array(0)
    const said = { kind: 'formation', from: 2, members, recorded: nothing, formed: false } as const
    const first = new Formation(1, 's1', initial)
    expect(first.received({ ...said, store: '' }, nothing)).toEqual({ kind: 'nothing' })
    expect(first.received({ ...said, store: 's2' }, nothing)).toMatchObject({ kind: 'create' })
    const damaged = new Formation(1, '', initial)
    expect(damaged.received({ ...said, store: 's2' }, nothing)).toEqual({ kind: 'nothing' })
  })

  test('a node hears that another names other members, and says why it waits', () => {
    const reasons: string[] = []
    const observe = (node: number, effect: RaftEffect): void => {
      if (effect.kind === 'waiting') reasons.push(`${node} ${effect.reason}`)
    }
    const cluster = new Cluster({ nodes: 3, observe })
    cluster.start(1)
    const recorded = new Uint8Array(0)
    const other = { from: 2, store: 's2', members: '1=n1,2=n2,3=n9', recorded, formed: false }
    cluster.step(1, { kind: 'received', message: { kind: 'formation', ...other } })
    expect(reasons).toEqual(['1 notFormed', '1 membersDiffer'])
  })

  test('there are no more voters than a quorum can count', () => {
    const voters = Array.from({ length: votersMax }, (_, index) => {
      return { node: index + 1, store: `s${index + 1}`, address: '' }
    })
    const learner = { node: 99, store: 's99', address: '' }
    const membership = { formation: 'f', voters, outgoing: [], learners: [learner] }
    expect(changed(membership, { kind: 'promote', node: 99 })).toEqual({ refused: 'tooManyVoters' })
  })
})

describe('compaction (7) and clients (8)', () => {
  test('a checkpoint that the log agrees with keeps what follows it', () => {
    const machine = new Machine({ epochs: [2, 2, 2] })
    install(machine, 3, 2)
    expect(machine.status).toMatchObject({ last: 4, commit: 3 })
  })

  test('a checkpoint that differs from the log, or is ahead of it, replaces it', () => {
    for (const [position, epoch] of [
      [3, 5],
      [9, 5],
    ] as const) {
      const machine = new Machine({ epochs: [2, 2, 2] })
      const effects = install(machine, position, epoch)
      expect(effects).toContainEqual({ kind: 'reset', position, epoch })
      expect(machine.status).toMatchObject({
        first: position + 1,
        last: position,
        commit: position,
      })
    }
  })

  test('a journal that does not fit the checkpoint it is found with starts anew', () => {
    // A crash came between the checkpoint that a peer sent and the reset of the journal.
    const reset = { kind: 'reset', position: 5, epoch: 7 }
    const pasts = [
      { first: 5, epochs: [6, 6, 6] },
      { first: 5, epochs: [6] },
      { first: 6, epochs: [6, 6] },
      { first: 4, epochs: [6] },
      { first: 6, epochs: [] },
    ]
    for (const past of pasts) {
      const machine = new Machine({ checkpoint: { position: 5, epoch: 7 }, epoch: 7, ...past })
      expect(machine.tick(1)).toContainEqual(reset)
      expect(machine.status).toMatchObject({ first: 6, last: 5, commit: 5, durable: 5 })
    }
    for (const past of [
      { first: 5, epochs: [7, 8] },
      { first: 6, epochs: [8] },
    ]) {
      const machine = new Machine({ checkpoint: { position: 5, epoch: 7 }, epoch: 8, ...past })
      expect(machine.tick(1)).not.toContainEqual(reset)
      expect(machine.status).toMatchObject({ first: 6, last: 6, commit: 5, durable: 6 })
    }
  })

  test('what is not durable here stays in memory, whatever a checkpoint covers', () => {
    const machine = new Machine({ epochs: [2, 2, 2] })
    machine.receive(append({ previous: 4, previousEpoch: 2, epochs: [2, 2, 2] }))
    install(machine, 7, 2)
    machine.step({ kind: 'checkpointed', position: 7 })
    expect(machine.status.first).toBeLessThanOrEqual(5)
    machine.persist()
    machine.step({ kind: 'checkpointed', position: 7 })
    expect(machine.status.first).toBeGreaterThan(5)
  })

  test('the state may stand on a checkpoint above what is durable here, and write one there itself', () => {
    const machine = new Machine({ epochs: [2, 2, 2] })
    machine.receive(append({ previous: 4, previousEpoch: 2, epochs: [2, 2, 2], commit: 7 }))
    install(machine, 6, 2)
    machine.step({ kind: 'checkpointed', position: 6 })
    expect(machine.status).toMatchObject({ last: 7, commit: 7, durable: 4 })
    machine.persist()
    expect(machine.effects).toContainEqual({ kind: 'committedTo', position: 7 })
  })

  test('what a peer had says nothing about the store that speaks for it next', () => {
    const machine = inRole('leader', { epochs: [1, 1, 1] })
    machine.persist()
    const { last, epoch } = machine.status
    // Damaged: it follows, and speaks for no store.
    machine.receive(appendReply({ from: 3, epoch, store: '', position: last }))
    machine.step({ kind: 'linkDown', node: 3, closed: true }, { kind: 'linkUp', node: 3 })
    machine.receive(
      appendReply({ from: 3, epoch, store: 'new', accepted: false, position: last, hint: 0 }),
    )
    expect(machine.status.peers.find(peer => peer.node === 3)).toMatchObject({ match: 0 })
    const resent = machine.receive(
      appendReply({ from: 3, epoch, store: 'new', accepted: false, position: last, hint: 0 }),
    )
    const all = [...machine.effects, ...resent]
    expect(sent(all, 'append').at(-1)).toMatchObject({ previous: 0, count: last })
  })

  test('a follower behind the log of the leader is sent a checkpoint', () => {
    const machine = inRole('leader', { epochs: [1, 1, 1] })
    machine.persist()
    const { last, epoch } = machine.status
    machine.receive(appendReply({ from: 2, epoch, position: last }))
    machine.step({ kind: 'checkpointed', position: last })
    machine.receive(
      appendReply({ from: 3, epoch, accepted: false, position: last - 1, hint: 1, hintEpoch: 1 }),
    )
    const asked = machine.effects.filter(effect => effect.kind === 'snapshotNeeded')
    expect(asked).toMatchObject([{ node: 3 }])
  })

  test('a leader begins its term with an entry of its own', () => {
    const machine = inRole('leader', { epochs: [1, 1] })
    expect(machine.status.last).toBe(4)
    expect(epochsOf(machine)).toEqual([1, 1, machine.status.epoch])
  })

  test('a read waits for the first commit of the term and for a majority that still follows', () => {
    const machine = inRole('leader')
    machine.persist()
    const { last, epoch } = machine.status
    machine.step({ kind: 'readRequested', id: 1 })
    machine.receive(appendReply({ from: 2, epoch, position: last }))
    const ready = { kind: 'readReady', id: 1, position: last }
    expect(machine.effects).not.toContainEqual(ready)
    machine.receive(appendReply({ from: 2, epoch, position: last, confirm: 1 }))
    expect(machine.effects).toContainEqual(ready)
  })

  test('an answer to an earlier attempt does not confirm a later one', () => {
    const machine = inRole('leader')
    machine.persist()
    const { last, epoch } = machine.status
    machine.receive(appendReply({ from: 2, epoch, position: last }))
    machine.step({ kind: 'readRequested', id: 1 })
    machine.step({ kind: 'readRequested', id: 2 })
    machine.receive(appendReply({ from: 2, epoch, position: last, confirm: 1 }))
    const ready = machine.effects.filter(effect => effect.kind === 'readReady')
    expect(ready).toEqual([{ kind: 'readReady', id: 1, position: last }])
  })
})

function formed(nodes: number): Cluster {
  const cluster = new Cluster({ nodes })
  cluster.startAll()
  cluster.stabilize()
  expect(cluster.newestLeader()).toBe(1)
  return cluster
}

function addVoter(cluster: Cluster, id: number): void {
  cluster.addNode(id)
  cluster.start(id)
  cluster.change(1, {
    kind: 'addLearner',
    member: { node: id, store: `s${id}`, address: `n${id}` },
  })
  cluster.stabilize()
  cluster.change(1, { kind: 'promote', node: id })
  cluster.stabilize()
}

function install(machine: Machine, position: number, epoch: number) {
  const membership = encodeMembership(machine.status.membership)
  const checkpoint = { position, epoch, time: 1, membership }
  return machine.step({ kind: 'snapshotInstalled', checkpoint })
}

/** Carries appends and replies between two until they agree; returns the number of refusals. */
function reconcile(leader: Machine, follower: Machine): number {
  let refusals = 0
  for (let guard = 0; guard < 100; guard++) {
    leader.persist()
    const effects = leader.tick(heartbeatTicks)
    const [message] = sent(effects, 'append').filter((_, index) => index === 0)
    const replies = sent(follower.receive(message!), 'appendReply')
    follower.persist()
    for (const reply of replies) {
      if (reply.kind === 'appendReply' && !reply.accepted) refusals++
      leader.receive(reply)
    }
    if (leader.status.peers.find(peer => peer.node === 2)?.match === leader.status.last)
      return refusals
  }
  throw new Error('they do not come to agree')
}

function epochsOf(machine: Machine): number[] {
  machine.persist()
  return machine.written.slice(1)
}
