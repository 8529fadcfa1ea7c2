/** What random scenarios do not come upon: each case is one corner of the protocol. */
import { frameCases } from './cases-frames.ts'
import { handshakeCases } from './cases-sessions.ts'
import { accessCases } from './cases-access.ts'
import { watchCases } from './cases-watches.ts'
import { operationCases } from './cases-operations.ts'
import type { Scenario } from './scenario.ts'

export const cases: readonly Scenario[] = [
  ...handshakeCases,
  ...frameCases,
  ...operationCases,
  ...accessCases,
  ...watchCases,
]
