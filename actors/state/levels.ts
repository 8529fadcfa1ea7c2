/**
 * The replicated level (DESIGN.md D20): which rules `apply` follows, the same on every node at one
 * position. Nodes tell each other the highest level that they know; when all members in force know a
 * higher one than the state has, the leader raises it by a command. It never goes down.
 */

/** Of this version. A rule that changes what a command does is asked for by `numbers.level`, and this grows. */
export const levelSupported = 1

export const announceMillis = 5_000
/** Who has not spoken for so long may be another version by now. */
const silenceMillisMax = 3 * announceMillis

interface Announced {
  readonly level: number
  readonly atMillis: number
}

export class Levels {
  readonly supported: number
  readonly #announced = new Map<number, Announced>()

  constructor(supported: number) {
    this.supported = supported
  }

  announced(node: number, level: number, nowMillis: number): void {
    this.#announced.set(node, { level, atMillis: nowMillis })
  }

  /** The highest level that this node and all of `others` know; 0 while one of them is silent. */
  common(others: readonly number[], nowMillis: number): number {
    let common = this.supported
    for (const node of others) {
      const told = this.#announced.get(node)
      if (told === undefined || nowMillis - told.atMillis > silenceMillisMax) return 0
      common = Math.min(common, told.level)
    }
    return common
  }

  /** @throws Error if the state follows rules that this version does not know. */
  check(replicated: number): void {
    if (replicated <= this.supported) return
    throw new Error(
      `the cluster is at level ${replicated} and this version knows up to ${this.supported}: ` +
        'start this node with a newer version',
    )
  }
}
