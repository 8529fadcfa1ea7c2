/** Encodes an event once, however many watches it goes to: with and without what was before. */
import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'
import type { KeyEvent } from './messages.ts'

const none = new Uint8Array(0)

export class EventEncoder {
  readonly #writer = new Writer(new OwnRooms())
  #event: KeyEvent = { deleted: false, key: none, current: none, previous: none }
  #plain: Uint8Array = none
  #withPrevious: Uint8Array = none

  open(event: KeyEvent): void {
    this.#event = event
    this.#plain = none
    this.#withPrevious = none
  }

  /** The field `events` of a WatchResponse: tag, length, mvccpb.Event. */
  bytes(withPrevious: boolean): Uint8Array {
    if (withPrevious && this.#event.previous.length > 0) {
      if (this.#withPrevious.length === 0) this.#withPrevious = this.#encode(true)
      return this.#withPrevious
    }
    if (this.#plain.length === 0) this.#plain = this.#encode(false)
    return this.#plain
  }

  #encode(withPrevious: boolean): Uint8Array {
    const { deleted, current, previous } = this.#event
    const writer = this.#writer.begin(48 + current.length + (withPrevious ? previous.length : 0))
    const mark = writer.open(0x5a)
    writer.number(0x08, deleted ? 1 : 0)
    writer.element(0x12, current, 0, current.length)
    if (withPrevious) writer.element(0x1a, previous, 0, previous.length)
    writer.close(mark)
    return writer.finish()
  }
}
