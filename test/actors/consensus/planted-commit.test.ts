/** The commit rule is planted wrong here: older entries are committed by counting (paper, figure 8). */
import { expect, test, vi } from 'vitest'
import { figure8 } from './figure-8.ts'

vi.mock('../../../actors/consensus/raft/commit-rule.ts', async () => {
  const { reachedByQuorum } = await import('../../../actors/consensus/quorum.ts')
  type State = import('../../../actors/consensus/raft/state.ts').RaftState
  const committable = (state: State) =>
    Math.max(state.commit, reachedByQuorum(state.membership, state.matched))
  return { committable }
})

test('an entry of an older epoch that is committed by counting is found', () => {
  expect(figure8).toThrow(/lacks|applies another entry|is committed is never truncated/)
})
