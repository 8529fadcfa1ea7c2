import { describe, expect, test } from 'vitest'
import {
  type CheckpointArrival,
  type CheckpointSink,
  receiveCheckpoint,
  sendCheckpoint,
} from '../../../transport/peers/checkpoint-flow.ts'
import type { Connection } from '../../../transport/peers/connection.ts'
import { awaitGreeting, greet } from '../../../transport/peers/greeting.ts'
import { purpose } from '../../../transport/peers/handshake.ts'
import { limits } from '../../../transport/peers/limits.ts'
import { createPair, greeterFor, hello } from './link-pair.ts'

interface Transfer {
  outcome: string
  arrival: CheckpointArrival | undefined
  readonly stored: number[]
  aborted: boolean
  closed: boolean
  sender: Connection | undefined
  run(millis: number): void
  stall(millis: number): void
  breakOff(): void
}

interface Trouble {
  readonly refuse?: string
  readonly damaged?: string
  readonly full?: boolean
}

/** Node 2 sends `bytes` to node 1 beside their link for messages. */
function transfer(bytes: number, options: Trouble = {}): Transfer {
  const pair = createPair()
  pair.run(50)
  const state: Transfer = {
    outcome: '',
    arrival: undefined,
    stored: [],
    aborted: false,
    closed: false,
    sender: undefined,
    run: pair.run,
    stall: millis => pair.listening.thread.pause(millis),
    breakOff: () => {},
  }
  const near = pair.listening.thread.host
  const far = pair.dialling.thread.host
  const sink: CheckpointSink = {
    write(chunk) {
      if (options.full) throw new Error('no space left')
      for (const byte of chunk) state.stored.push(byte)
    },
    finish(done) {
      near.timers.after(5, () =>
        done(options.damaged ? new Error(options.damaged) : undefined, 'checkpoint-9'),
      )
    },
    abort: () => {
      state.aborted = true
    },
  }
  near.network.listen(
    { host: 'machine1', port: 7001 },
    socket =>
      awaitGreeting(near, socket, greeterFor(hello({ from: 1 })), result => {
        if (result.kind === 'failed') throw new Error(result.end.why)
        expect(result.hello.purpose).toBe(purpose.checkpoint)
        receiveCheckpoint(
          near,
          result.connection,
          () => options.refuse ?? sink,
          arrival => {
            state.arrival = arrival
          },
        )
      }),
    () => {},
  )
  let at = 0
  const source = {
    position: 9,
    epoch: 2,
    bytes,
    read(target: Uint8Array) {
      const count = Math.min(target.length, bytes - at)
      for (let index = 0; index < count; index++) target[index] = (at + index) % 251
      at += count
      return count
    },
    close() {
      state.closed = true
    },
  }
  const socket = far.network.connect({ host: 'machine1', port: 7001 })
  greet(far, socket, greeterFor(hello({ from: 2 })), 1, purpose.checkpoint, result => {
    if (result.kind === 'failed') throw new Error(result.end.why)
    state.sender = result.connection
    state.breakOff = sendCheckpoint(far, result.connection, source, error => {
      state.outcome = error?.message ?? 'sent'
    })
  })
  return state
}

describe('a checkpoint', () => {
  test('arrives whole, larger than a window', () => {
    const bytes = 2 * limits.windowBytes + 12_345
    const run = transfer(bytes)
    run.run(1000)
    expect(run.outcome).toBe('sent')
    const offer = { position: 9, epoch: 2, bytes }
    expect(run.arrival).toEqual({ kind: 'arrived', offer, directory: 'checkpoint-9' })
    expect(run.stored.length).toBe(bytes)
    expect(run.stored.every((byte, index) => byte === index % 251)).toBe(true)
    expect(run.closed).toBe(true)
    expect(run.aborted).toBe(false)
  })

  test('waits for a receiver that stands still, and does not fill the network', () => {
    const run = transfer(8 * limits.windowBytes)
    run.run(1)
    run.stall(3000)
    run.run(2000)
    expect(run.sender!.socket.bufferedBytes).toBeLessThan(
      limits.windowBytes + limits.checkpointChunkBytes,
    )
    expect(run.outcome).toBe('')
    run.run(3000)
    expect(run.outcome).toBe('sent')
  })

  test.each<[string, Trouble, boolean]>([
    [
      'is refused by a receiver that has a newer one',
      { refuse: 'position 12 is here already' },
      false,
    ],
    ['that is damaged counts on neither side', { damaged: 'checksum of part 3 is wrong' }, false],
    ['that does not fit is broken off', { full: true }, true],
  ])('%s', (_name, options, aborts) => {
    const run = transfer(100_000, options)
    run.run(1000)
    const why = options.refuse ?? options.damaged ?? 'no space left'
    expect(run.outcome).toBe(`the transfer of a checkpoint ended: ${why}`)
    expect(run.arrival).toEqual({ kind: 'failed', why })
    expect(run.closed).toBe(true)
    expect(run.aborted).toBe(aborts)
  })

  test('that is broken off leaves nothing behind', () => {
    const run = transfer(8 * limits.windowBytes)
    run.run(1)
    run.breakOff()
    run.run(100)
    expect(run.arrival).toEqual({ kind: 'failed', why: 'the transfer was broken off' })
    expect(run.aborted).toBe(true)
    expect(run.closed).toBe(true)
  })
})
