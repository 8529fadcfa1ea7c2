/**
 * One element of the replicated log: a fixed header, then bytes that nobody looks into before apply
 * (DESIGN.md D5). Numbers are little-endian. Entries are concatenated in batches, so the first word
 * is the length. Pure: no imports.
 *
 *   0 u32 length, header included     4 u8 format (2)       5 u8 kind      6 u8 flags (1 = sampled)  7 u8 zero
 *   8 u64 position                   16 u64 epoch          24 u64 time, ms since 1970
 *  32 u32 node                       36 u32 stream         40 u64 incarnation
 *  48 u64 sequence                   56 16 bytes trace id  72 8 bytes span id
 *  80 u64 deadline, ms since 1970: an entry whose time is past it is void at apply; 0: none
 *  88 body
 *
 * Position, epoch and time are zero until the leader stamps them. All u64 are below 2^53.
 */
export const entryHeaderBytes = 88
export const entryFormat = 2

export const entryKind = {
  /** The leader's first entry of an epoch. */
  empty: 0,
  membership: 1,
  /** Everything from here on belongs to the state machine. */
  register: 16,
  zookeeper: 17,
  etcd: 18,
  lifetime: 19,
  level: 20,
  /** f64, big-endian: how many bytes the state may hold (actors/state/space.ts). */
  quota: 21,
} as const

const twoTo32 = 4294967296

export const offset = {
  length: 0,
  format: 4,
  kind: 5,
  flags: 6,
  position: 8,
  epoch: 16,
  time: 24,
  node: 32,
  stream: 36,
  incarnation: 40,
  sequence: 48,
  traceId: 56,
  spanId: 72,
  deadline: 80,
  body: entryHeaderBytes,
} as const

export function readUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * twoTo32
}

export function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, (value / twoTo32) >>> 0, true)
}
