/** Every bound of the etcd port, with its default. */
export interface EtcdServerLimits {
  /** Connections beyond it are closed at once. */
  readonly connectionsMax: number
  /** The same for those of one address (IPv6: of one network of 64 bits); 0: no limit of its own. */
  readonly connectionsPerAddressMax: number
  /** Open streams of a connection, advertised; one more is refused (REFUSED_STREAM). 0: no such number. */
  readonly streamsMax: number
  /** Memory of the open streams of one connection: one more is refused in the same way. */
  readonly connectionStreamBytesMax: number
  /** Of all; beyond it a connection may still have an even share of it, so that it is twice this at most. */
  readonly streamBytesMax: number
  /** etcd's max-request-bytes and its overhead; a longer message gets ResourceExhausted. */
  readonly messageBytesMax: number
  /** Bytes of half-received messages of one connection; the stream that passes it is reset. */
  readonly assemblyBytesMax: number
  /** Of all connections: beyond it the one that has most of it loses all that it has sent in part (REFUSED_STREAM). */
  readonly portAssemblyBytesMax: number
  /** Encoded header block, continuations included. */
  readonly headerBlockBytesMax: number
  /** Decoded headers, as SETTINGS_MAX_HEADER_LIST_SIZE counts; more gets 431. */
  readonly headerListBytesMax: number
  readonly continuationFramesMax: number
  /** HPACK table that we keep for a client's headers. */
  readonly headerTableBytesMax: number
  /** Streams that the client may reset unserved in a burst, and per second. */
  readonly resetBurstMax: number
  readonly resetsPerSecond: number
  /** Calls that the client has reset and that we still work on. */
  readonly abandonedCallsMax: number
  /** PING, SETTINGS, PRIORITY, empty DATA, unknown frames and the like. */
  readonly controlBurstMax: number
  readonly controlsPerSecond: number
  /** Pings closer than this, with nothing answered between, are strikes. */
  readonly pingMillisMin: number
  readonly pingStrikesMax: number
  /** A connection that says nothing useful: until its preface, and until a begun header block ends. */
  readonly prefaceMillisMax: number
  readonly headerBlockMillisMax: number
  /** Output that waits for a client which takes nothing: it loses its connection. */
  readonly stallMillisMax: number
  /** The same while others wait for the memory (`EtcdServer.pressed`) or for streams, for one that takes next to nothing. */
  readonly stallPressedMillisMax: number
  /** Bytes that a stream holds back for its client when the gateway is told that it is drained. */
  readonly streamBufferedBytesLow: number
  /** Bytes in the socket beyond which streams hold back, reading pauses, and the connection breaks. */
  readonly socketBufferedBytesHigh: number
  readonly socketBufferedBytesMax: number
  /** Windows that we grant. */
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  /** Silence after which we ask with a PING, and how long we wait for its answer. */
  readonly keepaliveIdleMillis: number
  readonly keepaliveTimeoutMillis: number
  /** An HTTP/1.1 client that asks nothing, or does not finish the body of what it asks. */
  readonly http1IdleMillisMax: number
  /** One that has begun to ask and does not finish the headers. */
  readonly http1HeadersMillisMax: number
}

/** What an open stream costs us, as measured with watches (benchmarks/overload/README.md), rounded up. */
export const streamBytes = 2048

export const defaultLimits: EtcdServerLimits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 2000,
  streamsMax: 0,
  connectionStreamBytesMax: 32 * 1024 * 1024,
  streamBytesMax: 256 * 1024 * 1024,
  messageBytesMax: 1_572_864 + 524_288,
  assemblyBytesMax: 64 * 1024 * 1024,
  portAssemblyBytesMax: 96 * 1024 * 1024,
  headerBlockBytesMax: 64 * 1024,
  headerListBytesMax: 64 * 1024,
  continuationFramesMax: 16,
  headerTableBytesMax: 4096,
  resetBurstMax: 10_000,
  resetsPerSecond: 2000,
  abandonedCallsMax: 20_000,
  controlBurstMax: 2000,
  controlsPerSecond: 500,
  pingMillisMin: 5000,
  pingStrikesMax: 20,
  prefaceMillisMax: 10_000,
  headerBlockMillisMax: 10_000,
  stallMillisMax: 120_000,
  stallPressedMillisMax: 10_000,
  streamBufferedBytesLow: 256 * 1024,
  socketBufferedBytesHigh: 1024 * 1024,
  socketBufferedBytesMax: 8 * 1024 * 1024,
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 4 * 1024 * 1024,
  keepaliveIdleMillis: 7_200_000,
  keepaliveTimeoutMillis: 20_000,
  http1IdleMillisMax: 60_000,
  http1HeadersMillisMax: 9_000,
}
