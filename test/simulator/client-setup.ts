/** What clients of both doors have in common: where they belong, and their pace. */
import type { Host } from '../../runtime/host.ts'

export interface ClientSetup {
  readonly id: number
  readonly seed: string
  readonly host: Host
  readonly machines: readonly string[]
  readonly port: number
  readonly operations: number
  /** Goes on after its operations until then, so that there is work while the faults last. */
  readonly busyUntilMillis: number
  /** Writes may be refused since the state is full; what makes it smaller may not. */
  readonly hasQuota: boolean
  readonly note: (event: string) => void
  readonly violate: (sentence: string) => void
}

export const pace = {
  burstMillisMin: 20,
  burstMillisMax: 250,
  pingMillis: 1000,
  silenceMillis: 3000,
  reconnectMillis: 50,
} as const
