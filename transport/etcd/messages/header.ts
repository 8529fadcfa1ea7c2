import type { Writer } from './writer.ts'

/*
 * ResponseHeader: cluster_id=1 uint64; member_id=2 uint64; revision=3 int64; raft_term=4 uint64
 * It is field 1 of every response. The two ids never change, so their bytes are made once.
 */
export class HeaderEncoder {
  readonly #ids: Uint8Array

  /** Ids as 8 bytes, big-endian. */
  constructor(clusterId: Uint8Array, memberId: Uint8Array) {
    this.#ids = Uint8Array.from([...uint64Field(0x08, clusterId), ...uint64Field(0x10, memberId)])
  }

  write(writer: Writer, revision: number, epoch: number): void {
    const mark = writer.open(0x0a)
    writer.raw(this.#ids)
    writer.number(0x18, revision)
    writer.number(0x20, epoch)
    writer.close(mark)
  }
}

/** The header of a response inside a transaction's: nothing but the revision. */
export function writeInnerHeader(writer: Writer, revision: number): void {
  const mark = writer.open(0x0a)
  writer.number(0x18, revision)
  writer.close(mark)
}

/** An upper bound, to guess sizes. */
export const headerBytesMax = 46

function uint64Field(tag: number, bigEndian: Uint8Array): number[] {
  let rest = 0n
  for (const byte of bigEndian) rest = (rest << 8n) | BigInt(byte)
  if (rest === 0n) return []
  const bytes = [tag]
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return bytes
}
