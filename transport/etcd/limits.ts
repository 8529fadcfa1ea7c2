/** Every bound of the etcd port, with its default. */
export interface EtcdServerLimits {
  /** Connections beyond it are closed at once. */
  readonly connectionsMax: number
  /** Open streams of a connection, advertised; one more is refused (REFUSED_STREAM). */
  readonly streamsMax: number
  /** etcd's max-request-bytes and its overhead; a longer message gets ResourceExhausted. */
  readonly messageBytesMax: number
  /** Bytes of half-received messages of one connection; the stream that passes it is reset. */
  readonly assemblyBytesMax: number
  /** Encoded header block, continuations included. */
  readonly headerBlockBytesMax: number
  /** Decoded headers, as SETTINGS_MAX_HEADER_LIST_SIZE counts; more gets 431. */
  readonly headerListBytesMax: number
  readonly continuationFramesMax: number
  /** HPACK table that we keep for a client's headers. */
  readonly headerTableBytesMax: number
  /** Streams that the client may reset in a burst, and per second. */
  readonly resetBurstMax: number
  readonly resetsPerSecond: number
  /** PING, SETTINGS, PRIORITY, empty DATA, unknown frames and the like. */
  readonly controlBurstMax: number
  readonly controlsPerSecond: number
  /** Pings closer than this, with nothing answered between, are strikes. */
  readonly pingMillisMin: number
  readonly pingStrikesMax: number
  /** A connection that says nothing useful: until its preface, and until a begun header block ends. */
  readonly prefaceMillisMax: number
  readonly headerBlockMillisMax: number
  /** Output that waits for the client without any progress. */
  readonly stallMillisMax: number
  /** Bytes that a stream may hold back for its client before it is reset; and when it is drained. */
  readonly streamBufferedBytesMax: number
  readonly streamBufferedBytesLow: number
  /** The same for all streams of a connection together. */
  readonly connectionBufferedBytesMax: number
  /** Bytes in the socket beyond which streams hold back, reading pauses, and the connection breaks. */
  readonly socketBufferedBytesHigh: number
  readonly socketBufferedBytesMax: number
  /** Windows that we grant. */
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  /** Silence after which we ask with a PING, and how long we wait for its answer. */
  readonly keepaliveIdleMillis: number
  readonly keepaliveTimeoutMillis: number
  /** An HTTP/1.1 client that asks nothing, or does not finish asking. */
  readonly http1IdleMillisMax: number
}

export const defaultLimits: EtcdServerLimits = {
  connectionsMax: 20_000,
  streamsMax: 4096,
  messageBytesMax: 1_572_864 + 524_288,
  assemblyBytesMax: 64 * 1024 * 1024,
  headerBlockBytesMax: 64 * 1024,
  headerListBytesMax: 64 * 1024,
  continuationFramesMax: 16,
  headerTableBytesMax: 4096,
  resetBurstMax: 1000,
  resetsPerSecond: 200,
  controlBurstMax: 2000,
  controlsPerSecond: 500,
  pingMillisMin: 5000,
  pingStrikesMax: 20,
  prefaceMillisMax: 10_000,
  headerBlockMillisMax: 10_000,
  stallMillisMax: 300_000,
  streamBufferedBytesMax: 16 * 1024 * 1024,
  streamBufferedBytesLow: 256 * 1024,
  connectionBufferedBytesMax: 64 * 1024 * 1024,
  socketBufferedBytesHigh: 1024 * 1024,
  socketBufferedBytesMax: 8 * 1024 * 1024,
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 4 * 1024 * 1024,
  keepaliveIdleMillis: 7_200_000,
  keepaliveTimeoutMillis: 20_000,
  http1IdleMillisMax: 60_000,
}
