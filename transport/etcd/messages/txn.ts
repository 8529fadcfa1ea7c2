import { type DeleteRangeRequest, decodeDeleteRange } from './delete-range.ts'
import { decodePut, type PutRequest } from './put.ts'
import { decodeRange, type RangeRequest } from './range.ts'
import { NestedTooDeep, nestingMax, type Reader } from './reader.ts'

/*
 * Compare: result=1; target=2; key=3 bytes; oneof target_union { version=4 int64;
 *   create_revision=5 int64; mod_revision=6 int64; value=7 bytes; lease=8 int64 }; range_end=64 bytes
 * RequestOp: oneof { request_range=1; request_put=2; request_delete_range=3; request_txn=4 }
 * ResponseOp: oneof { response_range=1; response_put=2; response_delete_range=3; response_txn=4 }
 * TxnRequest: compare=1 repeated; success=2 repeated RequestOp; failure=3 repeated RequestOp
 * TxnResponse: header=1; succeeded=2 bool; responses=3 repeated ResponseOp
 */
export const compareResult = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const
export const compareTarget = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const

export interface Compare {
  result: number
  target: number
  key: Uint8Array
  rangeEnd: Uint8Array
  /** Which target the value that follows was given for; −1: none was given. */
  given: number
  number: number
  value: Uint8Array
  lease: bigint
}

export type RequestOp =
  | { readonly kind: 'range'; readonly range: RangeRequest }
  | { readonly kind: 'put'; readonly put: PutRequest }
  | { readonly kind: 'deleteRange'; readonly deleteRange: DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly txn: TxnRequest }
  /** None of the known members: refused as `keyNotFound`. */
  | { readonly kind: 'none' }

export interface TxnRequest {
  readonly compare: Compare[]
  readonly success: RequestOp[]
  readonly failure: RequestOp[]
}

export const txnResponseTag = { succeeded: 0x10, responses: 0x1a } as const
export const responseOpTag = { range: 0x0a, put: 0x12, deleteRange: 0x1a, txn: 0x22 } as const

const empty = new Uint8Array(0)
const txnFields = ['Compare', 'Success', 'Failure']
const operationFields = ['RequestRange', 'RequestPut', 'RequestDeleteRange', 'RequestTxn']
const compareFields = [
  'Result',
  'Target',
  'Key',
  'Version',
  'CreateRevision',
  'ModRevision',
  'Value',
  'Lease',
]

export function decodeTxn(reader: Reader, depth = 0): TxnRequest {
  if (depth > nestingMax) throw new NestedTooDeep('too many nested messages')
  const txn: TxnRequest = { compare: [], success: [], failure: [] }
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a: {
        const outer = reader.enter()
        txn.compare.push(decodeCompare(reader))
        reader.leave(outer)
        break
      }
      case 0x12:
      case 0x1a: {
        const outer = reader.enter()
        const target = tag === 0x12 ? txn.success : txn.failure
        target.push(decodeRequestOp(reader, depth))
        reader.leave(outer)
        break
      }
      default:
        reader.skip(tag, txnFields)
    }
  }
  return txn
}

function decodeRequestOp(reader: Reader, depth: number): RequestOp {
  let operation: RequestOp = { kind: 'none' }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.skip(tag, operationFields)
      continue
    }
    const outer = reader.enter()
    if (tag === 0x0a) operation = { kind: 'range', range: decodeRange(reader) }
    else if (tag === 0x12) operation = { kind: 'put', put: decodePut(reader) }
    else if (tag === 0x1a)
      operation = { kind: 'deleteRange', deleteRange: decodeDeleteRange(reader) }
    else operation = { kind: 'txn', txn: decodeTxn(reader, depth + 1) }
    reader.leave(outer)
  }
  return operation
}

function decodeCompare(reader: Reader): Compare {
  const compare: Compare = {
    result: 0,
    target: 0,
    key: empty,
    rangeEnd: empty,
    given: -1,
    number: 0,
    value: empty,
    lease: 0n,
  }
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x08:
        compare.result = reader.choice()
        break
      case 0x10:
        compare.target = reader.choice()
        break
      case 0x1a:
        compare.key = reader.view()
        break
      case 0x20:
      case 0x28:
      case 0x30:
        compare.number = reader.number()
        compare.given = (tag >> 3) - 4
        break
      case 0x3a:
        compare.value = reader.view()
        compare.given = compareTarget.value
        break
      case 0x40:
        compare.lease = reader.signedBigint()
        compare.given = compareTarget.lease
        break
      case 0x202:
        compare.rangeEnd = reader.view()
        break
      default:
        reader.skip(tag, compareFields)
    }
  }
  return compare
}
