/**
 * The one-shot watches of a simulated ZooKeeper client: each fires once, before any answer that shows the
 * change, and none is lost, also where the connection breaks and the next one takes them over.
 */
import type { Tree } from '../../storage/tree.ts'
import type { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { eventType } from '../../transport/zookeeper/operations.ts'

export type WatchKind = 'data' | 'exists' | 'children'

/** What `exists` sees where there is nothing. */
export const absent = 0

export class Watches {
  /** By kind and path: version, creation or children's version that was there when it was set. */
  readonly #seen: Record<WatchKind, Map<string, number>> = {
    data: new Map(),
    exists: new Map(),
    children: new Map(),
  }
  readonly #violate: (sentence: string) => void

  constructor(violate: (sentence: string) => void) {
    this.#violate = violate
  }

  /** An answer shows how things stand; `watch`: and set a watch. */
  shows(kind: WatchKind, path: string, state: number, watch: boolean): void {
    const seen = this.#seen[kind].get(path)
    if (seen !== undefined && seen !== state)
      this.#violate(`saw ${path} at ${state} before the event of its ${kind} watch, set at ${seen}`)
    if (watch) this.#seen[kind].set(path, state)
  }

  /** An answer says that this client changed it. */
  changed(kind: WatchKind, path: string): void {
    const seen = this.#seen[kind].get(path)
    if (seen !== undefined)
      this.#violate(`changed ${path} and got no event of its ${kind} watch, set at ${seen}`)
  }

  fired(type: number, path: string): void {
    const kinds = kindsOf[type] ?? []
    const fired = kinds.filter(kind => this.#seen[kind].delete(path))
    if (fired.length === 0) this.#violate(`got an event ${type} of ${path} without a watch`)
  }

  clear(): void {
    for (const seen of Object.values(this.#seen)) seen.clear()
  }

  get count(): number {
    return this.#seen.data.size + this.#seen.exists.size + this.#seen.children.size
  }

  /** Body of setWatches; as clients do, those of `exists` that found something are among the first. */
  encode(writer: JuteWriter, lastZxid: number): void {
    const { data, exists, children } = this.#seen
    const found = [...exists.keys()].filter(path => exists.get(path) !== absent)
    const missing = [...exists.keys()].filter(path => exists.get(path) === absent)
    writer.long(lastZxid)
    for (const paths of [[...data.keys(), ...found], missing, [...children.keys()]]) {
      writer.int(paths.length)
      for (const path of paths) writer.string(path)
    }
  }

  /** At the end what they were set on is as it was. */
  verify(tree: Tree): void {
    for (const [path, seen] of this.#seen.data) this.#hold(path, seen, version(tree, path))
    for (const [path, seen] of this.#seen.exists) this.#hold(path, seen, creation(tree, path))
    for (const [path, seen] of this.#seen.children)
      this.#hold(path, seen, tree.cversion(tree.find(path)))
  }

  #hold(path: string, seen: number, now: number): void {
    if (seen !== now) this.#violate(`was not told that ${path} went from ${seen} to ${now}`)
  }
}

const kindsOf: Readonly<Record<number, readonly WatchKind[]>> = {
  [eventType.created]: ['exists'],
  [eventType.deleted]: ['data', 'exists', 'children'],
  [eventType.dataChanged]: ['data', 'exists'],
  [eventType.childrenChanged]: ['children'],
}

function version(tree: Tree, path: string): number {
  const node = tree.find(path)
  return node === 0 ? -1 : tree.version(node)
}

function creation(tree: Tree, path: string): number {
  const node = tree.find(path)
  return node === 0 ? absent : tree.czxid(node)
}
