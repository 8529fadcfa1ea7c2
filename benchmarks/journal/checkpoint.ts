import { systemDisk } from '../../runtime/disk-node.ts'
import type { Jobs } from '../../runtime/host.ts'
import { readCheckpointFile } from '../../storage/checkpoint-file.ts'
import { CheckpointFiles } from '../../storage/checkpoint-files.ts'
import { type EntryList, finishLoad, loadBlock } from '../../storage/checkpoint-format.ts'
import { run } from '../../storage/checkpoint-job.ts'
import { CheckpointLister } from '../../storage/checkpoint-lister.ts'
import { Keyspace } from '../../storage/keyspace.ts'
import { Tree } from '../../storage/tree.ts'
import { megabytes, nowMillis, rate, row, timed } from './figures.ts'

const valueBytes = 128
const sliceEntries = 10_000

/** Many keys of 128 B: listed, written, verified, loaded. */
export async function checkpointFigures(directory: string, keys: number): Promise<void> {
  const tree = new Tree()
  const keyspace = new Keyspace()
  const value = new Uint8Array(valueBytes).fill(65)
  for (let index = 0; index < keys; index++) {
    keyspace.put(keyOf(index), value, 0, 0, keyspace.revision + 1, 0)
  }
  const files = new CheckpointFiles({ disk: systemDisk, directory, jobs: jobsHere })
  const lister = new CheckpointLister(tree, keyspace, 'base')
  const lists: EntryList[] = []
  const slices: number[] = []
  for (;;) {
    const before = nowMillis()
    const list = lister.step(sliceEntries)
    slices.push(nowMillis() - before)
    if (list === undefined) break
    lists.push(list)
  }
  const listing = slices.reduce((sum, slice) => sum + slice, 0)
  row(
    `${keys} keys listed in ${slices.length} slices`,
    `${listing.toFixed(0)} ms`,
    `longest ${Math.max(...slices).toFixed(1)} ms`,
  )
  const slabs = { tree: lister.buffers('tree'), keyspace: lister.buffers('keyspace') }
  const head = new Uint8Array(0)
  const listed = { lists, slabs }
  const writing = timed(() => {
    files.write({ kind: 'base', position: keys, epoch: 1, head, listed }, error => {
      if (error !== undefined) throw error
    })
  })
  row(
    'written, with checksums and syncs',
    `${writing.toFixed(0)} ms`,
    rate(files.sizeBytes, writing),
  )
  const path = `${directory}/00000001-${keys}.base`
  const verifying = timed(() => void readCheckpointFile(systemDisk, path, {}))
  const size = megabytes(files.sizeBytes)
  row(`read and verified, ${size}`, `${verifying.toFixed(0)} ms`, rate(files.sizeBytes, verifying))
  const loading = timed(() => load(files, keys))
  row('read, verified and loaded', `${loading.toFixed(0)} ms`)
}

function load(files: CheckpointFiles, keys: number): void {
  const tree = new Tree()
  const keyspace = new Keyspace()
  files.load(() => ({
    head: () => keyspace.restoreRevisions(keys, 0),
    entries: block => loadBlock(block, tree, keyspace),
  }))
  finishLoad(tree, keyspace)
  if (keyspace.keyCount !== keys) throw new Error(`${keyspace.keyCount} keys were loaded`)
}

/** On this thread, at once: the figures are those of the work alone. */
const jobsHere: Jobs = {
  run: (_module, input, done) => done(undefined, run(input as never, systemDisk) as never),
}

function keyOf(index: number): Uint8Array {
  return new TextEncoder().encode(`/registry/objects/${index.toString().padStart(12, '0')}`)
}
