import { describe, expect, it } from 'vitest'
import { Deadlines } from '../../../actors/sessions/deadlines.ts'
import { lifetime } from '../../../actors/sessions/messages.ts'

const { session, lease } = lifetime

function ids(deadlines: Deadlines, now: number): bigint[] {
  return deadlines.due(now, 100).map(one => one.id)
}

function started(): Deadlines {
  const deadlines = new Deadlines()
  deadlines.restart(0, 0)
  return deadlines
}

describe('deadlines', () => {
  it('end what nobody touched, never before its time, once', () => {
    const deadlines = started()
    deadlines.open(session, 1n, 1000, 0)
    expect(ids(deadlines, 999)).toEqual([])
    expect(ids(deadlines, 1200)).toEqual([1n])
    expect(ids(deadlines, 9000)).toEqual([])
  })

  it('are put off by a touch', () => {
    const deadlines = started()
    deadlines.open(session, 1n, 1000, 0)
    const one = deadlines.find(session, 1n)
    if (one !== undefined) one.atMillis = 1700
    expect(ids(deadlines, 1300)).toEqual([])
    expect(ids(deadlines, 1800)).toEqual([1n])
  })

  it('begin anew, once, for what is opened again', () => {
    const deadlines = started()
    deadlines.open(session, 1n, 1000, 0)
    deadlines.open(session, 1n, 2000, 900)
    expect(ids(deadlines, 2800)).toEqual([])
    expect(ids(deadlines, 9000)).toEqual([1n])
  })

  it('keep sessions and leases of one id apart', () => {
    const deadlines = started()
    deadlines.open(session, 1n, 1000, 0)
    deadlines.open(lease, 1n, 500, 0)
    deadlines.close(session, 1n)
    expect(deadlines.due(5000, 100).map(one => one.lifetime)).toEqual([lease])
  })

  it('begin anew for a new leader', () => {
    const deadlines = started()
    deadlines.open(session, 1n, 1000, 0)
    deadlines.restart(900, 100)
    expect(ids(deadlines, 1900)).toEqual([])
    expect(ids(deadlines, 2200)).toEqual([1n])
  })

  it('come in portions', () => {
    const deadlines = started()
    for (let id = 0n; id < 10n; id += 1n) deadlines.open(lease, id, 100 * (Number(id) + 1), 0)
    const first = deadlines.due(5000, 3)
    expect(first.map(one => one.id)).toEqual([0n, 1n, 2n])
    expect(deadlines.due(5000, 100)).toHaveLength(7)
  })

  it('gather nowhere on a node that does not lead, and all count once it does', () => {
    const deadlines = new Deadlines()
    for (let id = 0n; id < 100n; id += 1n) {
      deadlines.open(session, id, 1000, 0)
      if (id > 0n) deadlines.close(session, id)
    }
    expect(deadlines.filedCount).toBe(0)
    deadlines.restart(5000, 0)
    expect(ids(deadlines, 5900)).toEqual([])
    expect(ids(deadlines, 6200)).toEqual([0n])
    deadlines.open(session, 7n, 1000, 6200)
    deadlines.stop()
    expect([deadlines.filedCount, deadlines.size]).toEqual([0, 2])
  })
})
