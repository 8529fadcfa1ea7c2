/** A journal on a memory disk, driven by hand: callbacks run when `settle` says so. */
import { run } from '../../storage/journal-job.ts'
import { journalJobModule } from '../../storage/journal-job.ts'
import type { Journal, JournalOptions, JournalOutcome } from '../../storage/journal.ts'
import { openJournal } from '../../storage/journal-open.ts'
import type { Damaged } from '../../storage/journal-recovery.ts'
import { inlineJobs } from '../support/inline-jobs.ts'
import { MemoryDisk } from '../support/memory-disk.ts'

export const directory = '/data/journal'
export const store = Uint8Array.from({ length: 16 }, (_, index) => index + 1)
export const segmentBytes = 64 * 1024
export const entryHeaderBytes = 88

export interface Bench {
  readonly disk: MemoryDisk
  journal: Journal
  readonly outcomes: JournalOutcome[]
  /** Ids that were acknowledged. */
  readonly persisted: number[]
  /** Runs callbacks that wait, until there are none. */
  settle(): void
  /** Time that each reading of the clock adds. */
  clockStepMillis: number
}

export interface Found {
  readonly positions: number[]
  readonly bodies: string[]
  readonly hardState: string
  readonly tornBytes: number
}

export function newDisk(options: { capacityBytes?: number } = {}): {
  disk: MemoryDisk
  queue: (() => void)[]
} {
  const queue: (() => void)[] = []
  const disk = new MemoryDisk({ ...options, later: callback => void queue.push(callback) })
  disk.makeDirectory('/data')
  disk.syncDirectory('/')
  return { disk, queue }
}

export function openBench(
  options: Partial<JournalOptions> & {
    on?: { disk: MemoryDisk; queue: (() => void)[] }
    position?: number
    mayCreate?: boolean
  } = {},
): { bench: Bench; found: Found } {
  const opened = tryOpen(options)
  if (opened.kind === 'damaged')
    throw new Error(`${opened.path} at ${opened.offset}: ${opened.reason}`)
  return opened
}

export function tryOpen(
  options: Parameters<typeof openBench>[0] = {},
): { kind: 'opened'; bench: Bench; found: Found } | Damaged {
  const { on = newDisk(), position = 0, mayCreate = true, ...rest } = options
  const { disk, queue } = on
  const later = (callback: () => void): void => void queue.push(callback)
  let millis = 0
  const outcomes: JournalOutcome[] = []
  const persisted: number[] = []
  const opened = openJournal(
    {
      disk,
      jobs: inlineJobs(disk, [{ url: journalJobModule, run }], later),
      clock: { monotonicMillis: () => (millis += bench.clockStepMillis), wallMillis: () => 0 },
      directory,
      store,
      segmentBytes,
      fsync: 'always',
      retainedBytesMax: 0,
      notify: outcome => {
        outcomes.push(outcome)
        if (outcome.kind === 'persisted') persisted.push(outcome.id)
      },
      complete: completion => bench.journal.completed(completion),
      ...rest,
    },
    { position, mayCreate },
  )
  if (opened.kind === 'damaged') return opened
  const bench: Bench = {
    disk,
    journal: opened.journal,
    outcomes,
    persisted,
    clockStepMillis: 0,
    settle() {
      while (queue.length > 0) queue.shift()!()
    },
  }
  const { positions, bodies } = readBack([...opened.log.chunks(1000)].map(chunk => chunk.entries))
  const hardState = new TextDecoder().decode(opened.hardState)
  return {
    kind: 'opened',
    bench,
    found: { positions, bodies, hardState, tornBytes: opened.tornBytes },
  }
}

/** An entry with the fixed header and a body of text. */
export function entry(position: number, body: string | Uint8Array, epoch = 1): Uint8Array {
  const text = typeof body === 'string' ? new TextEncoder().encode(body) : body
  const bytes = new Uint8Array(entryHeaderBytes + text.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setUint32(8, position, true)
  view.setUint32(16, epoch, true)
  bytes.set(text, entryHeaderBytes)
  return bytes
}

export function entries(
  first: number,
  count: number,
  body: (position: number) => string | Uint8Array,
): Uint8Array {
  return concatenate(
    Array.from({ length: count }, (_, index) => entry(first + index, body(first + index))),
  )
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export const nothing = new Uint8Array(0)

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function readBack(chunks: readonly Uint8Array[]): { positions: number[]; bodies: string[] } {
  const positions: number[] = []
  const bodies: string[] = []
  for (const chunk of chunks) {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at < chunk.length; at += view.getUint32(at, true)) {
      positions.push(view.getUint32(at + 8, true))
      bodies.push(
        new TextDecoder().decode(
          chunk.subarray(at + entryHeaderBytes, at + view.getUint32(at, true)),
        ),
      )
    }
  }
  return { positions, bodies }
}
