/**
 * What happens when states differ and no majority says which is right: two nodes, or one of three that
 * is down. Nobody can tell then who is wrong, and neither may silently go on: a node that served reads and
 * writes might hand out what was never written, and each further command spreads it. So every node that
 * knows of the difference says it, and its doors refuse all requests with the protocol's own word for it,
 * while sessions, leases and the log live on. As soon as a majority decides (the third node comes back),
 * the wrong one stops and the others serve again; otherwise an operator decides which store to replace.
 */
import type { Logger } from '../../runtime/log.ts'
import type { HashComparison } from './hash-comparison.ts'

export interface DifferenceSurroundings {
  readonly hashes: HashComparison
  readonly log: Logger
  /** To both doors. */
  readonly tell: (differ: boolean) => void
}

/** The hash of a third node may be on its way, and decide. */
const undecidedMillis = 3_000
const checkMillis = 500

export class StateDifference {
  readonly #around: DifferenceSurroundings
  #checkedMillis = 0
  /** Since when there is a difference that nobody decides; 0: there is none. */
  #sinceMillis = 0
  #sentence = ''

  constructor(around: DifferenceSurroundings) {
    this.#around = around
  }

  /** '' or what differs, and which nodes. */
  get sentence(): string {
    return this.#sentence
  }

  tick(nowMillis: number): void {
    if (nowMillis - this.#checkedMillis < checkMillis) return
    this.#checkedMillis = nowMillis
    const found = this.#around.hashes.undecided()
    if (found === undefined) return this.#agreed()
    if (this.#sinceMillis === 0) this.#sinceMillis = nowMillis
    if (this.#sentence !== '' || nowMillis - this.#sinceMillis < undecidedMillis) return
    const { position, groups, agreedAt } = found
    const nodes = groups.map(group => `node${group.length > 1 ? 's' : ''} ${group.join(' and ')}`)
    this.#sentence =
      `the states of ${nodes.join(', ')} differ at position ${position} (they last agreed at ${agreedAt}), ` +
      'and no majority says which is right: requests are refused'
    this.#around.log.error(
      'The states of nodes differ, and no majority decides: requests are refused',
      {
        position,
        groups,
        agreedAt,
        help: 'bring the other nodes up, or stop the node that is wrong and bind an empty store in its place by `quorate member replace`',
      },
    )
    this.#around.tell(true)
  }

  #agreed(): void {
    this.#sinceMillis = 0
    if (this.#sentence === '') return
    this.#sentence = ''
    this.#around.log.info('The states of nodes agree again: requests are served', {})
    this.#around.tell(false)
  }
}
