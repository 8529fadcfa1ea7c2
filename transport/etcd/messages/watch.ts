import type { Reader } from './reader.ts'

/*
 * WatchRequest: oneof { create_request=1; cancel_request=2; progress_request=3 }
 * WatchCreateRequest: key=1 bytes; range_end=2 bytes; start_revision=3 int64; progress_notify=4 bool;
 *   filters=5 repeated FilterType; prev_kv=6 bool; watch_id=7 int64; fragment=8 bool
 * WatchCancelRequest: watch_id=1 int64             WatchProgressRequest: (no fields)
 * WatchResponse: header=1; watch_id=2 int64; created=3 bool; canceled=4 bool; compact_revision=5 int64;
 *   cancel_reason=6 string; fragment=7 bool; events=11 repeated mvccpb.Event
 * mvccpb.Event: type=1 (PUT=0, DELETE=1); kv=2 KeyValue; prev_kv=3 KeyValue
 */

/** A client may choose any 64-bit number; those below 2^53 are always numbers, so ids compare by `===`. */
export type WatchId = number | bigint

export interface WatchCreate {
  readonly kind: 'create'
  key: Uint8Array
  rangeEnd: Uint8Array
  startRevision: number
  progressNotify: boolean
  noPut: boolean
  noDelete: boolean
  prevKv: boolean
  watchId: WatchId
  fragment: boolean
}

export type WatchRequest =
  | WatchCreate
  | { readonly kind: 'cancel'; readonly watchId: WatchId }
  | { readonly kind: 'progress' }
  /** None of the known members: ignored. */
  | { readonly kind: 'none' }

export const watchResponseTag = {
  watchId: 0x10,
  created: 0x18,
  canceled: 0x20,
  compactRevision: 0x28,
  cancelReason: 0x32,
  fragment: 0x38,
  events: 0x5a,
} as const

const empty = new Uint8Array(0)
const requestFields = ['CreateRequest', 'CancelRequest', 'ProgressRequest']
const createFields = [
  'Key',
  'RangeEnd',
  'StartRevision',
  'ProgressNotify',
  'Filters',
  'PrevKv',
  'WatchId',
  'Fragment',
]

export function decodeWatch(reader: Reader): WatchRequest {
  let request: WatchRequest = { kind: 'none' }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a) {
      reader.skip(tag, requestFields)
      continue
    }
    const outer = reader.enter()
    if (tag === 0x0a) request = decodeCreate(reader)
    else if (tag === 0x12) request = { kind: 'cancel', watchId: decodeCancel(reader) }
    else request = { kind: 'progress' }
    reader.leave(outer)
  }
  return request
}

function decodeCreate(reader: Reader): WatchCreate {
  const create: WatchCreate = {
    kind: 'create',
    key: empty,
    rangeEnd: empty,
    startRevision: 0,
    progressNotify: false,
    noPut: false,
    noDelete: false,
    prevKv: false,
    watchId: 0,
    fragment: false,
  }
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        create.key = reader.view()
        break
      case 0x12:
        create.rangeEnd = reader.view()
        break
      case 0x18:
        create.startRevision = reader.number()
        break
      case 0x20:
        create.progressNotify = reader.flag()
        break
      case 0x28:
        addFilter(create, reader.choice())
        break
      case 0x2a: {
        // Packed, as most encoders write it.
        const outer = reader.enter()
        while (!reader.done) addFilter(create, reader.choice())
        reader.leave(outer)
        break
      }
      case 0x30:
        create.prevKv = reader.flag()
        break
      case 0x38:
        create.watchId = watchId(reader)
        break
      case 0x40:
        create.fragment = reader.flag()
        break
      default:
        reader.skip(tag, createFields)
    }
  }
  return create
}

function addFilter(create: WatchCreate, filter: number): void {
  if (filter === 0) create.noPut = true
  else if (filter === 1) create.noDelete = true
}

function decodeCancel(reader: Reader): WatchId {
  let id: WatchId = 0
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x08) id = watchId(reader)
    else reader.skip(tag, ['WatchId'])
  }
  return id
}

function watchId(reader: Reader): WatchId {
  const exact = reader.signedBigint()
  const near = Number(exact)
  return Number.isSafeInteger(near) ? near : exact
}
