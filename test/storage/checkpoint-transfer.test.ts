import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CheckpointTransferFiles } from '../../storage/checkpoint-transfer.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import {
  checkpoint,
  directory,
  immediateJobs,
  newNode,
  put,
  restart,
  sameState,
  type Node,
} from './checkpoint-kit.ts'

function sender(): Node {
  const node = newNode()
  for (let index = 0; index < 200; index++) put(node, `key-${index}`, `value ${index}`.repeat(9))
  checkpoint(node, 'base')
  put(node, 'key-3', 'changed')
  checkpoint(node, 'delta')
  return node
}

function transferOf(disk: MemoryDisk): CheckpointTransferFiles {
  return new CheckpointTransferFiles(disk, immediateJobs(disk), directory)
}

function bytesFrom(node: Node): {
  offer: { position: number; epoch: number; bytes: number }
  stream: Uint8Array
} {
  const source = transferOf(node.disk).openForSending()!
  const stream = new Uint8Array(source.bytes)
  let at = 0
  for (let count = -1; count !== 0; at += count) count = source.read(stream.subarray(at, at + 5000))
  source.close()
  expect(at).toBe(source.bytes)
  return { offer: source, stream }
}

function deliver(
  disk: MemoryDisk,
  offer: { position: number; epoch: number; bytes: number },
  stream: Uint8Array,
  cuts: readonly number[] = [],
): { error: Error | undefined; directory: string } {
  const sink = transferOf(disk).openForReceiving(offer)
  if (typeof sink === 'string') throw new Error(sink)
  let from = 0
  for (const to of [...cuts.filter(cut => cut < stream.length), stream.length].sort(
    (a, b) => a - b,
  )) {
    sink.write(stream.subarray(from, to))
    from = to
  }
  let outcome: { error: Error | undefined; directory: string } | undefined
  sink.finish((error, arrived) => {
    outcome = { error, directory: arrived }
  })
  return outcome!
}

test('a checkpoint arrives whole, however it was cut, and replaces what was there', () => {
  const node = sender()
  const { offer, stream } = bytesFrom(node)
  expect(offer).toMatchObject({ position: 201, epoch: 7 })
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length), { maxLength: 30 }), cuts => {
      const behind = newNode()
      put(behind, 'old', 'o')
      checkpoint(behind, 'base')
      const { error, directory: arrived } = deliver(behind.disk, offer, stream, cuts)
      expect(error).toBe(undefined)
      behind.files.adopt(arrived)
      behind.disk.crash()
      const { node: again } = restart(behind.disk)
      expect(again.position).toBe(201)
      expect(sameState(again, node)).toBe(true)
      put(again, 'after', 'a')
      expect(checkpoint(again, 'delta')).toBe(undefined)
      expect(restart(again.disk).node.position).toBe(202)
    }),
    { numRuns: 30 },
  )
})

test('what is being sent stays readable while newer checkpoints replace it', () => {
  const node = sender()
  const { stream } = bytesFrom(node)
  const source = transferOf(node.disk).openForSending()!
  checkpoint(node, 'base')
  checkpoint(node, 'base')
  checkpoint(node, 'base')
  const read = new Uint8Array(source.bytes)
  let at = 0
  for (let count = -1; count !== 0; at += count) count = source.read(read.subarray(at, at + 700))
  expect(read).toEqual(stream)
})

test('there is nothing to send without a checkpoint', () => {
  expect(transferOf(newNode().disk).openForSending()).toBe(undefined)
})

test('what is damaged on the way is refused, and nothing is left of it', () => {
  const { offer, stream } = bytesFrom(sender())
  for (let at = 0; at < stream.length; at += 97) {
    const behind = newNode()
    const damaged = stream.slice()
    damaged[at] = damaged[at]! ^ 4
    let refused = ''
    try {
      refused = deliver(behind.disk, offer, damaged).error?.message ?? ''
    } catch (error) {
      refused = (error as Error).message
    }
    expect(refused, `byte ${at}`).toMatch(/damaged|cannot be used/)
    restart(behind.disk)
    expect(behind.disk.list(directory)).toEqual([])
  }
})

test('a stream that ends early, another offer, a foreign file name, no space', () => {
  const { offer, stream } = bytesFrom(sender())
  const early = deliver(newNode().disk, offer, stream.subarray(0, -1))
  expect(early.error?.message).toBe('the checkpoint of a peer cannot be used: it ended too early')
  expect(() => deliver(newNode().disk, { ...offer, position: 9 }, stream)).toThrow(
    'the checkpoint of a peer cannot be used: it is not what was offered',
  )
  expect(() => deliver(newNode().disk, offer, Uint8Array.from([...stream, 1]))).toThrow(
    'the checkpoint of a peer cannot be used: more bytes than it said',
  )
  const small = newNode(new MemoryDisk({ capacityBytes: 4096 }))
  expect(() => deliver(small.disk, offer, stream)).toThrow(
    `no space for ${offer.bytes} bytes, 4096 are free`,
  )
})

test('a transfer that is broken off leaves nothing', () => {
  const behind = newNode()
  const { offer, stream } = bytesFrom(sender())
  const sink = transferOf(behind.disk).openForReceiving(offer)
  if (typeof sink === 'string') throw new Error(sink)
  sink.write(stream.subarray(0, 3000))
  sink.abort()
  expect(behind.disk.list(directory)).toEqual([])
})

test('no space to note what arrived: nothing has changed, and nothing is left of it', () => {
  const { offer, stream } = bytesFrom(sender())
  const behind = newNode()
  put(behind, 'own', 'value')
  checkpoint(behind, 'base')
  const { directory: arrived } = deliver(behind.disk, offer, stream)
  const before = behind.disk.list(directory)
  // As a file system may that keeps a small rest for names.
  behind.disk.fault = (operation, path) =>
    operation === 'write' && path.includes('manifest') ? 'ENOSPC' : undefined
  expect(() => behind.files.adopt(arrived)).toThrow('no space to take over a checkpoint')
  behind.disk.fault = () => undefined
  behind.files.discard(arrived)
  const arrivedName = arrived.slice(directory.length + 1)
  expect(behind.disk.list(directory)).toEqual(before.filter(name => name !== arrivedName))
  behind.disk.crash()
  expect(sameState(restart(behind.disk).node, behind)).toBe(true)
})
