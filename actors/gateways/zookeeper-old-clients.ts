/**
 * What clients of before ZooKeeper 3.4 are told: their connect request has no byte for read-only mode.
 * One of them, the npm client, throws on a code that it does not know while it reads from its socket,
 * and its process ends. QUOTAEXCEEDED is from 3.7, and becomes the error that all have always known.
 */
import { errorCode } from '../../transport/zookeeper/errors.ts'

/** Behind the length of the frame, xid and zxid. */
const errorAt = 16
const replyHeaderBytes = 20
/** Of each result in a multi that failed: i32 type −1, u8 done, i32 error, i32 error. */
const failedResultBytes = 13

/** A reply as it is to be sent, its length before it; the same one where it says nothing new. */
export function forOldClient(reply: Uint8Array): Uint8Array {
  const places = quotaPlaces(reply)
  if (places.length === 0) return reply
  const changed = reply.slice()
  const view = new DataView(changed.buffer)
  for (const place of places) view.setInt32(place, errorCode.systemError)
  return changed
}

/** Where the error stands: in the header, or twice in one result of a multi that failed. */
function quotaPlaces(reply: Uint8Array): number[] {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.byteLength)
  if (reply.length < replyHeaderBytes) return []
  const error = view.getInt32(errorAt)
  if (error !== errorCode.ok) return error === errorCode.quotaExceeded ? [errorAt] : []
  let at = replyHeaderBytes
  for (; at + failedResultBytes <= reply.length; at += failedResultBytes) {
    if (view.getInt32(at) !== -1 || reply[at + 4] !== 0) return []
    if (view.getInt32(at + 5) !== errorCode.quotaExceeded) continue
    return view.getInt32(at + 9) === errorCode.quotaExceeded ? [at + 5, at + 9] : []
  }
  return []
}
