/** Puts one packet of a server into words. Whatever is left over behind a record is shown too. */
import type { Part, Transcript } from './transcript.ts'
import { op } from './wire.ts'

const isWrite = new Set<number>([op.create, op.delete, op.setData, op.setAcl, op.multi, op.create2])

/** `type` is that of the request that it answers; undefined for a notification. */
export function replyParts(
  transcript: Transcript,
  packet: Buffer,
  type: number | undefined,
): Part[] {
  if (packet.length < 16) return [`short packet ${packet.toString('hex')}`]
  const error = packet.readInt32BE(12)
  const exact = type === undefined || (error === 0 && hasChanged(type, packet))
  const header: Part[] = [
    `xid=${packet.readInt32BE(0)} err=${error} at `,
    { zxid: packet.readBigInt64BE(4), exact },
  ]
  try {
    return [...header, ...body(transcript, packet, type)]
  } catch (problem) {
    return [...header, ` undecodable ${packet.subarray(16).toString('hex')} ${problem}`]
  }
}

/** A multi that failed, or had nothing to do, has a zxid that no Stat shows. */
function hasChanged(type: number, packet: Buffer): boolean {
  if (type !== op.multi) return isWrite.has(type)
  if (packet.length < 20) return false
  const first = packet.readInt32BE(16)
  return first !== -1 && first !== op.check
}

function body(transcript: Transcript, packet: Buffer, type: number | undefined): Part[] {
  if (packet.length === 16) return []
  const reader = new Reader(transcript, packet)
  const parts = type === undefined ? reader.event() : reader.record(type)
  const rest = packet.subarray(reader.at)
  return rest.length === 0 ? parts : [...parts, ` REST ${rest.toString('hex')}`]
}

class Reader {
  at = 16
  readonly #transcript: Transcript
  readonly #bytes: Buffer

  constructor(transcript: Transcript, bytes: Buffer) {
    this.#transcript = transcript
    this.#bytes = bytes
  }

  event(): Part[] {
    return [` event type=${this.#int()} state=${this.#int()} path=${this.#text()}`]
  }

  record(type: number): Part[] {
    switch (type) {
      case op.create:
      case op.sync:
        return [` ${this.#text()}`]
      case op.create2:
        return [` ${this.#text()}`, ...this.#stat()]
      case op.exists:
      case op.setData:
      case op.setAcl:
        return this.#stat()
      case op.getData:
        return [` ${this.#text()}`, ...this.#stat()]
      case op.getAcl:
        return [
          ` ${this.#vector(() => `${this.#int()}:${this.#text()}:${this.#text()}`, true)}`,
          ...this.#stat(),
        ]
      case op.getChildren:
        return [` ${this.#vector(() => this.#text(), true)}`]
      case op.getChildren2:
        return [` ${this.#vector(() => this.#text(), true)}`, ...this.#stat()]
      case op.multi:
        return this.#multi()
      default:
        return []
    }
  }

  #multi(): Part[] {
    const parts: Part[] = []
    for (;;) {
      const type = this.#int()
      const done = this.#bytes[this.at++]
      parts.push(` [${type} ${done} ${this.#int()}`)
      if (done !== 0) return [...parts, ']']
      if (type === -1) parts.push(` ${this.#int()}`)
      else if (type !== op.delete && type !== op.check) parts.push(...this.record(type))
      parts.push(']')
    }
  }

  #int(): number {
    this.at += 4
    return this.#bytes.readInt32BE(this.at - 4)
  }

  #text(): string {
    const length = this.#int()
    if (length < 0) return length === -1 ? 'null' : `length ${length}`
    if (this.at + length > this.#bytes.length) throw new Error('beyond the end')
    this.at += length
    const bytes = this.#bytes.subarray(this.at - length, this.at)
    return length > 200 ? `${length} bytes` : JSON.stringify(bytes.toString('latin1'))
  }

  #vector(item: () => string, unordered = false): string {
    const count = this.#int()
    const items: string[] = []
    for (let index = 0; index < count; index += 1) items.push(item())
    if (unordered) items.sort()
    return count < 0 ? `count ${count}` : `[${items.join(', ')}]`
  }

  #stat(): Part[] {
    this.at += 68
    return this.#transcript.stat(this.#bytes, this.at - 68)
  }
}
