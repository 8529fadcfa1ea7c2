/**
 * Gate "the state's layout" (DESIGN.md D17): a million keys, and a million znodes, of 128 bytes.
 * Each face runs in a process of its own, since resident memory is one of the figures.
 *
 *   node actors/node/launcher.mjs --script benchmarks/state/main.ts [--count 1000000] [--order random]
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sliceEntries } from '../../storage/checkpoint-lister.ts'
import { Keys, Nodes, type Subject } from './faces.ts'

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

if (options.face === '') runBoth()
else measure(options.face === 'tree' ? () => new Nodes() : () => new Keys())

function runBoth(): void {
  for (const face of ['keyspace', 'tree']) {
    const script = fileURLToPath(import.meta.url)
    const args = [
      '--expose-gc',
      script,
      '--face',
      face,
      '--count',
      options.count,
      '--order',
      options.order,
    ]
    const child = spawnSync(process.execPath, args, { stdio: 'inherit' })
    if (child.status !== 0) process.exitCode = 1
  }
}

function measure(make: () => Subject): void {
  const before = residentBytes()
  const subject = make()
  console.log(`${subject.name}: ${count.toLocaleString('en')} of 128 bytes, ${options.order} order`)
  const insert = timeEach(
    count,
    index => subject.insert(place(index)),
    () => subject.maintain(),
  )
  const resident = residentBytes() - before
  report('insert', micros(insert.meanMillis), '')
  report(`slowest ${batch} inserts`, millis(insert.maxMillis), bar(insert.maxMillis, 20))
  report('resident memory', megabytes(resident), bar(resident / 1e6, 350))
  report('bytes per key', `${Math.round(resident / count)} resident, ${perKey(subject)}`, '')
  const read = timeAll(count, index => subject.read(place(index * 7 + 3)))
  report('point read', micros(read), bar(read * 1000, 2))
  const range = timeEach(
    500,
    index => expectCount(subject.range(place(index) % (count - 1000), 1000)),
    nothing,
  )
  report('range of 1,000, mean', millis(range.meanMillis), bar(range.meanMillis, 1))
  const slices: number[] = []
  const blocks = subject.list(sliceEntries, work => slices.push(timed(work)))
  const slowest = Math.max(...slices)
  report(
    `listing, slices of ${sliceEntries}`,
    `${millis(sum(slices))}, slowest ${millis(slowest)}`,
    bar(slowest, 2),
  )
  let copy = subject
  const load = timed(() => {
    copy = subject.reload(blocks)
  })
  if (copy.hash !== subject.hash) throw new Error('the loaded state has another hash')
  report('bulk load', millis(load), bar(load, 1000))
  const update = timeEach(
    count,
    index => subject.update(place(index * 11 + 5)),
    () => subject.maintain(),
  )
  report('update', micros(update.meanMillis), bar(update.meanMillis * 1000, 2))
  report(`slowest ${batch} updates`, millis(update.maxMillis), bar(update.maxMillis, 20))
  report(
    'slabs after updates',
    `${megabytes(subject.slabBytes)}, ${megabytes(subject.liveBytes)} live`,
    '',
  )
}

/** A permutation of 0…count−1 that jumps about, or the identity. */
function place(index: number): number {
  if (options.order !== 'random') return index % count
  return Number((BigInt(index % count) * 7_368_787n) % BigInt(count))
}

function perKey(subject: Subject): string {
  const slabs = Math.round(subject.slabBytes / count)
  return `${slabs} in slabs, ${Math.round(subject.indexBytes / count)} in indexes`
}

/** Times are of the thread's own CPU: the machine may have other things to do. */
function timeEach(
  times: number,
  work: (index: number) => void,
  between: () => void,
): { meanMillis: number; maxMillis: number } {
  let maxMillis = 0
  const start = now()
  let last = start
  for (let index = 0; index < times; index++) {
    work(index)
    if (index % batch !== 0) continue
    between()
    const end = now()
    maxMillis = Math.max(maxMillis, end - last)
    last = end
  }
  return { meanMillis: (now() - start) / times, maxMillis }
}

function timeAll(times: number, work: (index: number) => void): number {
  const total = timed(() => {
    for (let index = 0; index < times; index++) work(index)
  })
  return total / times
}

function timed(work: () => void): number {
  const start = now()
  work()
  return now() - start
}

function now(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function residentBytes(): number {
  globalThis.gc?.()
  return process.memoryUsage.rss()
}

function expectCount(found: number): void {
  if (found !== 1000) throw new Error(`a range found ${found} of 1,000`)
}

function report(what: string, figure: string, verdict: string): void {
  console.log(`  ${what.padEnd(26)} ${figure.padEnd(44)} ${verdict}`)
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function nothing(): void {}
