/** The ephemeral znodes of a simulated ZooKeeper client: there while its session lives, gone after it. */
import type { Tree } from '../../storage/tree.ts'
import { errorCode } from '../../transport/zookeeper/errors.ts'
import { ephemeralRoot } from './zookeeper-request.ts'

type State = 'there' | 'gone' | 'unknown'

const count = 3

export class Ephemerals {
  readonly paths: readonly string[]
  readonly #states = new Map<string, State>()
  readonly #violate: (sentence: string) => void

  constructor(client: number, violate: (sentence: string) => void) {
    this.paths = pathsOf(client)
    this.#violate = violate
  }

  state(path: string): State {
    return this.#states.get(path) ?? 'gone'
  }

  /** Nobody answered: the create or delete was done, or not. */
  lost(path: string): void {
    this.#states.set(path, 'unknown')
  }

  sessionEnded(): void {
    this.#states.clear()
  }

  created(path: string, error: number): void {
    this.#learn(path, error === errorCode.ok ? 'gone' : 'there', 'created', error)
    this.#states.set(path, 'there')
  }

  deleted(path: string, error: number): void {
    this.#learn(path, error === errorCode.ok ? 'there' : 'gone', 'deleted', error)
    this.#states.set(path, 'gone')
  }

  looked(path: string, error: number): void {
    const now = error === errorCode.ok ? 'there' : 'gone'
    this.#learn(path, now, 'looked for', error)
    this.#states.set(path, now)
  }

  verify(tree: Tree): void {
    for (const path of this.paths) {
      const now = tree.find(path) === 0 ? 'gone' : 'there'
      const state = this.state(path)
      if (state !== 'unknown' && state !== now) this.#violate(`${path} is ${now} at the end`)
    }
  }

  #learn(path: string, before: State, what: string, error: number): void {
    const state = this.state(path)
    if (state !== 'unknown' && state !== before)
      this.#violate(`${what} ${path}, which was ${state}, and got ${error}`)
  }
}

export function pathsOf(client: number): string[] {
  return Array.from({ length: count }, (_, index) => `${ephemeralRoot}/${client}-${index}`)
}
