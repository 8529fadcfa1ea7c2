import type { Reader } from './reader.ts'

/*
 * PutRequest: key=1 bytes; value=2 bytes; lease=3 int64; prev_kv=4 bool; ignore_value=5 bool;
 *   ignore_lease=6 bool
 * PutResponse: header=1; prev_kv=2 KeyValue
 */
export interface PutRequest {
  key: Uint8Array
  value: Uint8Array
  /** Two uint32 halves. */
  leaseHigh: number
  leaseLow: number
  prevKv: boolean
  ignoreValue: boolean
  ignoreLease: boolean
}

export const putResponseTag = { prevKv: 0x12 } as const

const empty = new Uint8Array(0)
const fields = ['Key', 'Value', 'Lease', 'PrevKv', 'IgnoreValue', 'IgnoreLease']

export function decodePut(reader: Reader): PutRequest {
  const put: PutRequest = {
    key: empty,
    value: empty,
    leaseHigh: 0,
    leaseLow: 0,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  }
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        put.key = reader.view()
        break
      case 0x12:
        put.value = reader.view()
        break
      case 0x18:
        reader.number()
        put.leaseHigh = reader.high
        put.leaseLow = reader.low
        break
      case 0x20:
        put.prevKv = reader.flag()
        break
      case 0x28:
        put.ignoreValue = reader.flag()
        break
      case 0x30:
        put.ignoreLease = reader.flag()
        break
      default:
        reader.skip(tag, fields)
    }
  }
  return put
}
