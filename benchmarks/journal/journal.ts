import { systemClock } from '../../runtime/clock.ts'
import { systemDisk } from '../../runtime/disk-node.ts'
import type { Jobs } from '../../runtime/host.ts'
import type { Journal } from '../../storage/journal.ts'
import { openJournal } from '../../storage/journal-open.ts'
import { recoverJournal } from '../../storage/journal-recovery.ts'
import { micros, megabytes, nowMillis, quantile, rate, row, timed } from './figures.ts'

const store = new Uint8Array(16).fill(7)
const segmentBytes = 16 * 1024 * 1024
const entryBytes = 80 + 150
const nothing = new Uint8Array(0)

export async function journalFigures(directory: string): Promise<void> {
  for (const batch of [1, 10, 100, 1000]) await append(`${directory}/append-${batch}`, batch)
  await recover(`${directory}/recover`)
}

/** One write and one fdatasync a batch, as fast as they go. */
async function append(directory: string, batch: number): Promise<void> {
  const rounds = batch === 1000 ? 300 : 2000
  let persisted = -1
  const journal = open(directory, id => {
    persisted = id
  })
  const samples: number[] = []
  let position = 1
  const start = nowMillis()
  for (let round = 0; round < rounds; round++) {
    const entries = makeEntries(position, batch)
    position += batch
    const before = nowMillis()
    journal.persist(round, 0, entries, nothing)
    journal.flush()
    // Off the thread after a slow sync; or no segment is ready.
    while (persisted < round) await new Promise(resolve => setImmediate(resolve))
    samples.push(nowMillis() - before)
    // Segments made ahead are due in the event loop.
    if (round % 50 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  const millis = nowMillis() - start
  samples.sort((left, right) => left - right)
  row(
    `append and fdatasync, ${batch} entries of ${entryBytes} B`,
    `p50 ${micros(quantile(samples, 0.5))}`,
    `p99 ${micros(quantile(samples, 0.99))}`,
    rate(rounds * batch * entryBytes, millis),
    `${((rounds * batch) / millis).toFixed(0)}k entries/s`,
  )
  journal.close()
}

/** Reads one full segment and a part of the next. */
async function recover(directory: string): Promise<void> {
  let persisted = 0
  const journal = open(directory, id => {
    persisted = id
  })
  let position = 1
  while (position * entryBytes < segmentBytes) {
    journal.persist(position, 0, makeEntries(position, 20), nothing)
    journal.flush()
    while (persisted < position) await new Promise(resolve => setImmediate(resolve))
    position += 20
  }
  journal.close()
  for (let run = 1; run <= 3; run++) {
    let last = 0
    const millis = timed(() => {
      const found = recoverJournal({ disk: systemDisk, directory, store, position: 0 })
      if (found.kind !== 'recovered') throw new Error(JSON.stringify(found))
      last = found.log.last
      for (const chunk of found.log.chunks(1024 * 1024)) last = Math.max(last, chunk.first)
    })
    const what = `recovery of ${megabytes(last * entryBytes)} (${last} entries), run ${run}`
    row(what, `${millis.toFixed(0)} ms`)
  }
}

function open(directory: string, persisted: (id: number) => void = () => {}): Journal {
  const opened = openJournal(
    {
      disk: systemDisk,
      jobs: jobsHere,
      clock: systemClock,
      directory,
      store,
      segmentBytes,
      fsync: 'always',
      retainedBytesMax: 0,
      notify: outcome => {
        if (outcome.kind === 'persisted') persisted(outcome.id)
      },
      complete: completion => opened.kind === 'opened' && opened.journal.completed(completion),
    },
    { position: 0, mayCreate: true },
  )
  if (opened.kind === 'damaged') throw new Error(opened.reason)
  return opened.journal
}

/** On this thread: what it takes shows in the largest latencies, and not in the quantiles printed. */
const jobsHere: Jobs = {
  run(module, input, done) {
    setImmediate(async () => {
      const { run } = (await import(module.href)) as { run(input: unknown, disk: unknown): never }
      done(undefined, run(input, systemDisk))
    })
  },
}

function makeEntries(first: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count * entryBytes).fill(first)
  const view = new DataView(bytes.buffer)
  for (let index = 0; index < count; index++) {
    const at = index * entryBytes
    view.setUint32(at, entryBytes, true)
    view.setUint32(at + 8, first + index, true)
    view.setUint32(at + 12, 0, true)
  }
  return bytes
}
