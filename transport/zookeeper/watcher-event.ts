/**
 * WatcherEvent: int type, int state, ustring path; sent as a reply with xid -1 and the zxid of the
 * change (-1 for what setWatches catches up on).
 */
import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'
import { beginReply } from './headers.ts'
import { specialXid, stateSyncConnected } from './operations.ts'

export interface WatcherEvent {
  readonly type: number
  readonly state: number
  readonly path: string
}

/** A whole frame, the same bytes for every connection that gets it. */
export function eventFrame(
  writer: JuteWriter,
  type: number,
  path: string,
  zxid: number,
): Uint8Array {
  beginReply(writer, specialXid.notification, zxid, 0)
  writer.int(type)
  writer.int(stateSyncConnected)
  writer.string(path)
  return writer.finishFrame()
}

export function decodeWatcherEvent(reader: JuteReader): WatcherEvent {
  const type = reader.int()
  const state = reader.int()
  return { type, state, path: reader.string() }
}
