import type { Reader } from './reader.ts'

/*
 * RangeRequest: key=1 bytes; range_end=2 bytes; limit=3 int64; revision=4 int64; sort_order=5;
 *   sort_target=6; serializable=7 bool; keys_only=8 bool; count_only=9 bool; min_mod_revision=10
 *   int64; max_mod_revision=11 int64; min_create_revision=12 int64; max_create_revision=13 int64
 * RangeResponse: header=1; kvs=2 repeated KeyValue; more=3 bool; count=4 int64
 */
export const sortOrder = { none: 0, ascend: 1, descend: 2 } as const
export const sortTarget = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const

export interface RangeRequest {
  key: Uint8Array
  rangeEnd: Uint8Array
  limit: number
  revision: number
  sortOrder: number
  sortTarget: number
  serializable: boolean
  keysOnly: boolean
  countOnly: boolean
  minModRevision: number
  maxModRevision: number
  minCreateRevision: number
  maxCreateRevision: number
}

export const rangeResponseTag = { kvs: 0x12, more: 0x18, count: 0x20 } as const

const empty = new Uint8Array(0)
const fields = [
  'Key',
  'RangeEnd',
  'Limit',
  'Revision',
  'SortOrder',
  'SortTarget',
  'Serializable',
  'KeysOnly',
  'CountOnly',
  'MinModRevision',
  'MaxModRevision',
  'MinCreateRevision',
  'MaxCreateRevision',
]

/** Up to the reader's end. */
export function decodeRange(reader: Reader): RangeRequest {
  const range: RangeRequest = {
    key: empty,
    rangeEnd: empty,
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  }
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        range.key = reader.view()
        break
      case 0x12:
        range.rangeEnd = reader.view()
        break
      case 0x18:
        range.limit = reader.number()
        break
      case 0x20:
        range.revision = reader.number()
        break
      case 0x28:
        range.sortOrder = reader.choice()
        break
      case 0x30:
        range.sortTarget = reader.choice()
        break
      case 0x38:
        range.serializable = reader.flag()
        break
      case 0x40:
        range.keysOnly = reader.flag()
        break
      case 0x48:
        range.countOnly = reader.flag()
        break
      case 0x50:
        range.minModRevision = reader.number()
        break
      case 0x58:
        range.maxModRevision = reader.number()
        break
      case 0x60:
        range.minCreateRevision = reader.number()
        break
      case 0x68:
        range.maxCreateRevision = reader.number()
        break
      default:
        reader.skip(tag, fields)
    }
  }
  return range
}
