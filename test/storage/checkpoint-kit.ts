/** Checkpoints of a small keyspace on a memory disk. */
import { type ListedContent, checkpointJobModule, run } from '../../storage/checkpoint-job.ts'
import { CheckpointFiles, removeLeftovers } from '../../storage/checkpoint-files.ts'
import { finishLoad, loadBlock } from '../../storage/checkpoint-format.ts'
import { CheckpointLister } from '../../storage/checkpoint-lister.ts'
import type { StorageError } from '../../storage/errors.ts'
import { Keyspace } from '../../storage/keyspace.ts'
import { Tree } from '../../storage/tree.ts'
import { inlineJobs } from '../support/inline-jobs.ts'
import { MemoryDisk } from '../support/memory-disk.ts'

export const directory = '/data/checkpoints'

export interface Node {
  readonly disk: MemoryDisk
  readonly tree: Tree
  readonly keyspace: Keyspace
  readonly files: CheckpointFiles
  position: number
}

export function newNode(disk = new MemoryDisk()): Node {
  return { disk, tree: new Tree(), keyspace: new Keyspace(), files: openFiles(disk), position: 0 }
}

export function openFiles(disk: MemoryDisk): CheckpointFiles {
  return new CheckpointFiles({ disk, directory, jobs: immediateJobs(disk) })
}

/** Jobs that are done when they are asked for, which tests may, and hosts may not. */
export function immediateJobs(disk: MemoryDisk) {
  return inlineJobs(disk, [{ url: checkpointJobModule, run }], callback => callback())
}

export function put(node: Node, key: string, value: string): void {
  const { keyspace } = node
  keyspace.put(encode(key), encode(value), 0, 0, keyspace.revision + 1, 0)
  node.position++
}

export function remove(node: Node, key: string): void {
  const { keyspace } = node
  keyspace.delete(encode(key), keyspace.revision + 1, 0)
  node.position++
}

/** Writes one; returns what `done` got. */
export function checkpoint(node: Node, kind: 'base' | 'delta'): StorageError | undefined {
  const { tree, keyspace, position } = node
  const lister = new CheckpointLister(tree, keyspace, kind)
  const lists: ListedContent['lists'][number][] = []
  for (let list = lister.step(1000); list !== undefined; list = lister.step(1000)) lists.push(list)
  const slabs = { tree: lister.buffers('tree'), keyspace: lister.buffers('keyspace') }
  const head = encode(JSON.stringify([keyspace.revision, keyspace.compactRevision, position]))
  let outcome: StorageError | undefined
  node.files.write({ kind, position, epoch: 7, head, listed: { lists, slabs } }, error => {
    outcome = error
  })
  lister.release(outcome === undefined)
  return outcome
}

/** A new process on the same disk. */
export function restart(disk: MemoryDisk): { node: Node; passedOver: readonly string[] } {
  const node = newNode(disk)
  removeLeftovers(disk, directory)
  let loaded: { tree: Tree; keyspace: Keyspace } = node
  const result = node.files.load(() => {
    const { tree, keyspace } = newNode(disk)
    loaded = { tree, keyspace }
    return {
      head(bytes) {
        const [revision, compacted] = JSON.parse(new TextDecoder().decode(bytes)) as number[]
        keyspace.restoreRevisions(revision!, compacted!)
      },
      entries: block => loadBlock(block, tree, keyspace),
    }
  })
  finishLoad(loaded.tree, loaded.keyspace)
  const { tree, keyspace } = loaded
  const passedOver = result?.passedOver ?? []
  return { node: { ...node, tree, keyspace, position: result?.position ?? 0 }, passedOver }
}

export function sameState(left: Node, right: Node): boolean {
  const a = left.keyspace
  const b = right.keyspace
  return (
    a.hashLow === b.hashLow &&
    a.hashHigh === b.hashHigh &&
    a.keyCount === b.keyCount &&
    a.revision === b.revision
  )
}

export function textOf(node: Node, key: string): string | undefined {
  const pointer = node.keyspace.get(encode(key))
  return pointer === 0 ? undefined : new TextDecoder().decode(node.keyspace.value(pointer))
}

export function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
