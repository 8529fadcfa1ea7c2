/** HEADERS and CONTINUATION from the client: new streams, and trailers of those that are open. */
import type { Connection } from './connection.ts'
import { uint31 } from './frame-reader.ts'
import { HeaderAssembly } from './header-assembly.ts'
import { type HeaderBlock, HpackDecoder } from './hpack-decoder.ts'
import { isWrongLength } from './incoming-data.ts'
import { ConnectionError, errorCode, flag, frameSizeError, protocolError } from './protocol.ts'
import { checkFields, noRequest, parseRequest, type Request } from './request.ts'
import { Stream } from './stream.ts'

const tooLargeFields = [':status', '431']
const noBody = new Uint8Array(0)

export class IncomingHeaders {
  readonly #connection: Connection
  readonly #decoder: HpackDecoder
  readonly #assembly = new HeaderAssembly()

  constructor(connection: Connection) {
    this.#connection = connection
    const { headerTableBytesMax, headerListBytesMax } = connection.limits
    this.#decoder = new HpackDecoder(headerTableBytesMax, headerListBytesMax)
  }

  /** Stream whose header block is not complete: nothing else may come before its end. 0: none. */
  get openStream(): number {
    return this.#assembly.stream
  }

  get openSinceMillis(): number {
    return this.#assembly.sinceMillis
  }

  frame(flags: number, id: number, bytes: Uint8Array, from: number, to: number): void {
    if (id % 2 === 0) throw protocolError('HEADERS on a stream that is not a client’s')
    let start = from
    let end = to
    let dependsOnItself = false
    if ((flags & flag.padded) !== 0) {
      if (start >= end) throw frameSizeError('HEADERS')
      end -= bytes[start++]!
    }
    if ((flags & flag.priority) !== 0) {
      if (end - start < 5) throw protocolError('HEADERS without room for its priority')
      dependsOnItself = uint31(bytes, start) === id
      start += 5
    }
    if (end < start) throw protocolError('more padding than HEADERS')
    const endStream = (flags & flag.endStream) !== 0
    if ((flags & flag.endHeaders) !== 0) {
      this.#block(id, endStream, dependsOnItself, bytes, start, end)
      return
    }
    const { clock, limits } = this.#connection
    this.#assembly.begin(id, endStream, dependsOnItself, clock.monotonicMillis())
    this.#assembly.add(bytes, start, end, limits)
  }

  continuation(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    const assembly = this.#assembly
    if (assembly.stream === 0) throw protocolError('CONTINUATION without HEADERS')
    assembly.add(bytes, start, end, this.#connection.limits)
    if ((flags & flag.endHeaders) === 0) return
    const block = assembly.bytes
    const length = assembly.length
    assembly.end()
    this.#block(id, assembly.endStream, assembly.dependsOnItself, block, 0, length)
  }

  /** Every block is decoded, whatever becomes of it: the table must stay in step. */
  #block(
    id: number,
    endStream: boolean,
    dependsOnItself: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { streams, ids, guards } = this.#connection
    const block = this.#decoder.decode(bytes, start, end)
    const stream = streams.get(id)
    if (stream !== undefined) this.#trailers(stream, endStream, block)
    else if (id > ids.last) this.#newStream(id, endStream, dependsOnItself, block)
    else if (ids.wasResetByUs(id)) guards.control()
    else if (ids.wasClosed(id))
      throw new ConnectionError(errorCode.streamClosed, 'HEADERS on a closed stream')
    else throw protocolError('HEADERS on a stream below the last')
  }

  #trailers(stream: Stream, endStream: boolean, block: HeaderBlock): void {
    const connection = this.#connection
    if (stream.remoteClosed) connection.fault(stream, errorCode.streamClosed)
    else if (!endStream || block.tooLarge || checkFields(block.fields) !== '')
      connection.fault(stream, errorCode.protocolError)
    else if (isWrongLength(stream, true)) connection.fault(stream, errorCode.protocolError)
    else {
      stream.remoteClosed = true
      if (!stream.localClosed) connection.owner.ended(connection, stream)
    }
  }

  #newStream(id: number, endStream: boolean, dependsOnItself: boolean, block: HeaderBlock): void {
    const { ids, guards } = this.#connection
    ids.last = id
    if (!ids.isAccepted(id)) return
    guards.requested()
    if (block.meaning === undefined) block.meaning = parseRequest(block.fields)
    const request = block.meaning as Request | string
    if (!this.#connection.hasRoomForStream) this.#refuse(id, errorCode.refusedStream)
    else if (dependsOnItself || (typeof request === 'string' && !block.tooLarge))
      this.#refuse(id, errorCode.protocolError)
    else this.#open(id, endStream, request, block.tooLarge)
  }

  #open(id: number, endStream: boolean, request: Request | string, tooLarge: boolean): void {
    const connection = this.#connection
    const stream = new Stream(
      id,
      typeof request === 'string' ? noRequest : request,
      endStream,
      connection.limits.streamWindowBytes,
      connection.sender.initialWindow,
    )
    connection.opened(stream)
    if (tooLarge) connection.respond(stream, tooLargeFields, noBody)
    else if (endStream && stream.request.contentLength > 0)
      connection.fault(stream, errorCode.protocolError)
    else connection.owner.request(connection, stream)
  }

  /** A stream that never was one for the owner. */
  #refuse(id: number, code: number): void {
    const { guards, output, ids } = this.#connection
    guards.reset()
    output.rstStream(id, code)
    ids.close(id, true)
  }
}
