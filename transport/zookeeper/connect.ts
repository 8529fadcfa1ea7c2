/**
 * ConnectRequest:  int protocolVersion (0), long lastZxidSeen, int timeOut (ms), long sessionId,
 *                  buffer passwd (16), [boolean readOnly].
 * ConnectResponse: int protocolVersion (0), int timeOut, long sessionId, buffer passwd (16),
 *                  [boolean readOnly].
 * Old clients leave the last byte out, and then it must be left out of the response too. A time-out
 * of 0 in a response says: this session has expired.
 */
import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'

export const passwordBytes = 16

export interface ConnectRequest {
  readonly protocolVersion: number
  readonly lastZxidSeen: number
  readonly timeoutMillis: number
  readonly session: bigint
  /** A view into what was read; empty for null. */
  readonly password: Uint8Array
  readonly readOnly: boolean
  readonly hasReadOnly: boolean
}

export function decodeConnectRequest(reader: JuteReader): ConnectRequest {
  const protocolVersion = reader.int()
  const lastZxidSeen = reader.long()
  const timeoutMillis = reader.int()
  const session = reader.bigLong()
  const password = reader.buffer() ?? new Uint8Array(0)
  const hasReadOnly = reader.at < reader.end
  const readOnly = hasReadOnly && reader.boolean()
  return {
    protocolVersion,
    lastZxidSeen,
    timeoutMillis,
    session,
    password,
    readOnly,
    hasReadOnly,
  }
}

export function encodeConnectRequest(writer: JuteWriter, request: ConnectRequest): void {
  writer.int(request.protocolVersion)
  writer.long(request.lastZxidSeen)
  writer.int(request.timeoutMillis)
  writer.bigLong(request.session)
  writer.buffer(request.password)
  if (request.hasReadOnly) writer.boolean(request.readOnly)
}

export interface ConnectResponse {
  readonly timeoutMillis: number
  readonly session: bigint
  readonly password: Uint8Array
}

/** A whole frame. */
export function connectResponse(
  writer: JuteWriter,
  response: ConnectResponse,
  hasReadOnly: boolean,
): Uint8Array {
  writer.beginFrame()
  writer.int(0)
  writer.int(response.timeoutMillis)
  writer.bigLong(response.session)
  writer.buffer(response.password)
  if (hasReadOnly) writer.boolean(false)
  return writer.finishFrame()
}

export const expiredSession: ConnectResponse = {
  timeoutMillis: 0,
  session: 0n,
  password: new Uint8Array(passwordBytes),
}

export function decodeConnectResponse(reader: JuteReader): ConnectResponse {
  reader.int()
  const timeoutMillis = reader.int()
  const session = reader.bigLong()
  return { timeoutMillis, session, password: reader.buffer() ?? new Uint8Array(0) }
}
