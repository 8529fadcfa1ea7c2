/**
 * Gate "the state's layout" (DESIGN.md D17): a million keys, and a million znodes, of 128 bytes.
 * Each face runs in a process of its own, since resident memory is one of the figures.
 *
 *   node actors/node/launcher.mjs --script benchmarks/state/main.ts [--count 1000000] [--order ascending]
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sliceEntries } from '../../storage/checkpoint-lister.ts'
import { Keys, Nodes, type Subject, valueBytes } from './faces.ts'
import { type Spent, timed, timeEach } from './stopwatch.ts'

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    order: { type: 'string', default: 'random' },
    face: { type: 'string', default: '' },
  },
})
const count = Number(options.count)
/** Commands between two looks at the clock; `slowest` is of that many together. */
const batch = 8
const rangeCount = 1000

if (options.face === '') runBoth()
else measure(options.face === 'tree' ? () => new Nodes() : () => new Keys())

function runBoth(): void {
  for (const face of ['keyspace', 'tree']) {
    const script = fileURLToPath(import.meta.url)
    const own = ['--face', face, '--count', options.count, '--order', options.order]
    const args = ['--expose-gc', script, ...own]
    const child = spawnSync(process.execPath, args, { stdio: 'inherit' })
    if (child.status !== 0) process.exitCode = 1
  }
}

function measure(make: () => Subject): void {
  const before = residentBytes()
  const subject = make()
  console.log(`${subject.name}: ${count.toLocaleString('en')} of 128 bytes, ${options.order} order`)
  measureInserts(subject, before)
  measureReads(subject)
  measureCheckpoint(subject)
  measureUpdates(subject, 'same size', () => valueBytes)
  measureUpdates(subject, 'other size', index => 64 + (index % 64))
}

function measureInserts(subject: Subject, before: number): void {
  const insert = (index: number) => subject.insert(place(index))
  reportEach(
    'insert',
    timeEach(count, batch, insert, () => subject.maintain()),
    Infinity,
  )
  const resident = residentBytes() - before
  report('resident memory', `${megabytes(resident)}`, bar(resident / 1e6, 350))
  const perKey = (bytes: number) => Math.round(bytes / count)
  const parts = `${perKey(subject.slabBytes)} in slabs, ${perKey(subject.indexBytes)} in indexes`
  report('bytes per key', `${perKey(resident)}, of these ${parts}`, '')
}

function measureReads(subject: Subject): void {
  const read = timed(() => {
    for (let index = 0; index < count; index++) subject.read(place(index * 7 + 3))
  })
  report('point read', micros(read / count), bar((read / count) * 1000, 2))
  const range = (index: number) => {
    const found = subject.range(place(index * 3571) % (count - rangeCount), rangeCount)
    if (found !== rangeCount) throw new Error(`a range found ${found} of ${rangeCount}`)
  }
  const { meanMillis } = timeEach(500, 1, range, () => {})
  report(`range of ${rangeCount}`, millis(meanMillis), bar(meanMillis, 1))
}

function measureCheckpoint(subject: Subject): void {
  const slices: number[] = []
  const blocks = subject.list(sliceEntries, work => slices.push(timed(work)))
  const total = slices.reduce((sum, slice) => sum + slice, 0)
  const mean = total / slices.length
  report('listing, mean slice', `${millis(mean)}, all ${millis(total)}`, bar(mean, 2))
  let copy = subject
  const load = timed(() => {
    copy = subject.reload(blocks)
  })
  if (copy.hash !== subject.hash) throw new Error('the loaded state has another hash')
  report('bulk load', millis(load), bar(load, 1000))
}

function measureUpdates(subject: Subject, name: string, bytesOf: (index: number) => number): void {
  const update = (index: number) => subject.update(place(index * 11 + 5), bytesOf(index))
  reportEach(
    `update, ${name}`,
    timeEach(count, batch, update, () => subject.maintain()),
    2,
  )
  const slabs = `${megabytes(subject.slabBytes)}, ${megabytes(subject.liveBytes)} live`
  report('  slabs afterwards', slabs, '')
}

/** A permutation of 0…count−1 that jumps about, or the identity. */
function place(index: number): number {
  return options.order === 'random' ? ((index % count) * 7_368_787) % count : index % count
}

function residentBytes(): number {
  globalThis.gc?.()
  return process.memoryUsage.rss()
}

function reportEach(what: string, spent: Spent, microsMax: number): void {
  const mean = spent.meanMillis * 1000
  report(what, micros(spent.meanMillis), microsMax === Infinity ? '' : bar(mean, microsMax))
  report(`  slowest ${batch}, at most`, millis(spent.maxMillis), bar(spent.maxMillis, 20))
}

function report(what: string, figure: string, verdict: string): void {
  console.log(`  ${what.padEnd(24)} ${figure.padEnd(44)} ${verdict}`)
}

function bar(figure: number, limit: number): string {
  return figure <= limit ? `ok (limit ${limit})` : `MISSED (limit ${limit})`
}

function micros(value: number): string {
  return `${(value * 1000).toFixed(2)} µs`
}

function millis(value: number): string {
  return `${value.toFixed(2)} ms`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
