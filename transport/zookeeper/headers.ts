/**
 * RequestHeader: int xid, int type.   ReplyHeader: int xid, long zxid, int err.
 * The body of a reply follows only when there is one; the exception is a failed multi (multi.ts).
 */
import type { JuteWriter } from './jute-writer.ts'

export const requestHeaderBytes = 8
/** With the length of the frame before it. */
export const replyHeaderBytes = 20

export interface RequestHeader {
  readonly xid: number
  readonly type: number
}

export function encodeRequestHeader(writer: JuteWriter, header: RequestHeader): void {
  writer.int(header.xid)
  writer.int(header.type)
}

/** Begins a reply frame; its body and `finishFrame` are up to the caller. */
export function beginReply(writer: JuteWriter, xid: number, zxid: number, error: number): void {
  writer.beginFrame()
  writer.int(xid)
  writer.long(zxid)
  writer.int(error)
}

/** A whole reply without a body. */
export function headerReply(
  writer: JuteWriter,
  xid: number,
  zxid: number,
  error: number,
): Uint8Array {
  beginReply(writer, xid, zxid, error)
  return writer.finishFrame()
}
