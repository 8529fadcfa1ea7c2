/** Numbers of RFC 9113 that are written and read in more than one place, and the error for a connection. */

export const preface = Uint8Array.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', char =>
  char.charCodeAt(0),
)

export const frameHeaderBytes = 9
/** SETTINGS_MAX_FRAME_SIZE of both sides: we never announce more, and never send more. */
export const framePayloadBytesMax = 16_384
export const windowBytesMax = 0x7fff_ffff
export const initialWindowBytes = 65_535
export const streamIdMax = 0x7fff_ffff

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const

export const setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const

/** What the peer did ends the connection: GOAWAY with this code, `message` as its debug data. */
export class ConnectionError extends Error {
  readonly code: number
  /** Name of the limit that was broken, or ''. */
  readonly limit: string

  constructor(code: number, message: string, limit = '') {
    super(message)
    this.code = code
    this.limit = limit
  }
}

export function protocolError(message: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, message)
}

export function frameSizeError(frame: string): ConnectionError {
  return new ConnectionError(errorCode.frameSizeError, `${frame} of a wrong size`)
}
