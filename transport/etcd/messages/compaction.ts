import type { Reader } from './reader.ts'

/*
 * CompactionRequest: revision=1 int64; physical=2 bool
 * CompactionResponse: header=1
 */
export interface CompactionRequest {
  revision: number
  physical: boolean
}

export function decodeCompaction(reader: Reader): CompactionRequest {
  const compaction: CompactionRequest = { revision: 0, physical: false }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x08) compaction.revision = reader.number()
    else if (tag === 0x10) compaction.physical = reader.flag()
    else reader.skip(tag, ['Revision', 'Physical'])
  }
  return compaction
}
