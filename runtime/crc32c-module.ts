/**
 * The inner loop of CRC-32C as a WebAssembly module, assembled here so that it can be read: sixteen
 * bytes a step over sixteen tables. `advance(state, start, end)` works on its own memory, which begins
 * with the tables: table n, at 1024 n, is the effect of a byte that n more bytes follow.
 */
export const stepBytes = 16
export const tableBytes = 1024
export const memoryPages = 2

export interface Crc32cExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  advance(state: number, start: number, end: number): number
}

/** Parameters and locals by number. `last` is where the last whole step can begin. */
const state = 0
const at = 1
const end = 2
const words = [3, 4, 5, 6] as const
const last = 7

const op = {
  block: 0x02,
  loop: 0x03,
  finish: 0x0b,
  branch: 0x0c,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  load: 0x28,
  loadByte: 0x2d,
  constant: 0x41,
  greater: 0x4a,
  greaterOrEqual: 0x4e,
  add: 0x6a,
  subtract: 0x6b,
  and: 0x71,
  xor: 0x73,
  shiftLeft: 0x74,
  shiftRight: 0x76,
} as const

const i32 = 0x7f
const nothing = 0x40

export function crc32cModule(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, i32, i32, i32, 1, i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, memoryPages]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('advance'), 0, 0]),
    ...section(10, [1, ...sized([1, 5, i32, ...body(), op.finish])]),
  ])
}

function body(): number[] {
  return [
    ...[op.get, end, ...constant(stepBytes), op.subtract, op.set, last],
    ...whileNot([op.get, at, op.get, last, op.greater], wholeStep()),
    ...whileNot([op.get, at, op.get, end, op.greaterOrEqual], oneByte()),
    ...[op.get, state],
  ]
}

/** The words that do not wait for the state of the step before come first. */
function wholeStep(): number[] {
  const terms = words.flatMap((word, index) => [3, 2, 1, 0].map(byte => term(word, index, byte)))
  terms.reverse()
  return [
    ...words.flatMap((word, index) => [
      ...[op.get, at, op.load, 0, ...unsigned(4 * index)],
      ...(index === 0 ? [op.get, state, op.xor] : []),
      ...[op.set, word],
    ]),
    ...terms.flatMap((one, index) => (index === 0 ? one : [...one, op.xor])),
    ...[op.set, state, op.get, at, ...constant(stepBytes), op.add, op.set, at],
  ]
}

/** What one byte of a word contributes: an entry of the table for as many bytes as follow it. */
function term(word: number, index: number, byte: number): number[] {
  const shift = 8 * byte - 2
  const scaled =
    shift < 0 ? [...constant(-shift), op.shiftLeft] : [...constant(shift), op.shiftRight]
  const table = stepBytes - 1 - (4 * index + byte)
  return [op.get, word, ...scaled, ...constant(1020), op.and, ...load(table * tableBytes)]
}

function oneByte(): number[] {
  return [
    ...[op.get, state, ...constant(8), op.shiftRight],
    ...[op.get, state, op.get, at, op.loadByte, 0, 0, op.xor, ...constant(255), op.and],
    ...[...constant(2), op.shiftLeft, ...load(0), op.xor, op.set, state],
    ...[op.get, at, ...constant(1), op.add, op.set, at],
  ]
}

function whileNot(condition: number[], step: number[]): number[] {
  const loop = [...condition, op.branchIf, 1, ...step, op.branch, 0]
  return [op.block, nothing, op.loop, nothing, ...loop, op.finish, op.finish]
}

function load(offset: number): number[] {
  return [op.load, 2, ...unsigned(offset)]
}

/** Signed LEB128 of a number that is not negative. */
function constant(value: number): number[] {
  const bytes = unsigned(value)
  const isNegative = (bytes.at(-1)! & 0x40) !== 0
  if (isNegative) bytes[bytes.length - 1]! |= 0x80
  return [op.constant, ...bytes, ...(isNegative ? [0] : [])]
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

function section(id: number, content: number[]): number[] {
  return [id, ...sized(content)]
}

function sized(content: number[]): number[] {
  return [...unsigned(content.length), ...content]
}

function name(text: string): number[] {
  return sized([...new TextEncoder().encode(text)])
}
