/**
 * Which threads may die without their node: those that only parse and frame (DESIGN.md D1). Counts the
 * lives of each, so that what its actors propose after a restart is told from what they did before.
 */
import type { Placement } from '../../runtime/system.ts'

const restartsMax = 5
const periodMillis = 60_000
const clientActors: readonly string[] = ['zookeeper', 'etcd']

export class ThreadLives {
  readonly #placement: Placement
  readonly #nowMillis: () => number
  readonly #generations = new Map<string, number>()
  readonly #deaths = new Map<string, number[]>()
  readonly #ended = new Set<string>()

  constructor(placement: Placement, nowMillis: () => number) {
    this.#placement = placement
    this.#nowMillis = nowMillis
  }

  /** A thread is about to start; returns how often it did before. */
  begin(thread: string): number {
    const generation = this.#generations.get(thread) ?? 0
    this.#generations.set(thread, generation + 1)
    return generation
  }

  /** It died. One that dies again and again takes its node with it, so that somebody looks. */
  end(thread: string): 'restart' | 'stop' {
    const now = this.#nowMillis()
    const deaths = (this.#deaths.get(thread) ?? []).filter(millis => millis > now - periodMillis)
    deaths.push(now)
    this.#deaths.set(thread, deaths)
    const mayRestart = (this.#placement[thread] ?? []).every(actor => clientActors.includes(actor))
    if (mayRestart && deaths.length <= restartsMax) return 'restart'
    this.#ended.add(thread)
    return 'stop'
  }

  hasEnded(thread: string): boolean {
    return this.#ended.has(thread)
  }
}
