import type { Reader } from './reader.ts'

/*
 * DeleteRangeRequest: key=1 bytes; range_end=2 bytes; prev_kv=3 bool
 * DeleteRangeResponse: header=1; deleted=2 int64; prev_kvs=3 repeated KeyValue
 */
export interface DeleteRangeRequest {
  key: Uint8Array
  rangeEnd: Uint8Array
  prevKv: boolean
}

export const deleteRangeResponseTag = { deleted: 0x10, prevKvs: 0x1a } as const

const empty = new Uint8Array(0)
const fields = ['Key', 'RangeEnd', 'PrevKv']

export function decodeDeleteRange(reader: Reader): DeleteRangeRequest {
  const request: DeleteRangeRequest = { key: empty, rangeEnd: empty, prevKv: false }
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        request.key = reader.view()
        break
      case 0x12:
        request.rangeEnd = reader.view()
        break
      case 0x18:
        request.prevKv = reader.flag()
        break
      default:
        reader.skip(tag, fields)
    }
  }
  return request
}
