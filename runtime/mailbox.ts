/**
 * A queue of messages: ring segments of fixed size in a chain, so that it grows without copying and
 * costs nothing per message. The last emptied segment is kept for the next growth.
 *
 *   head ─► [ . . . m m ] ─► [ m m m m m ] ─► [ m m . . . ] ◄─ tail
 */
const segmentSlots = 512

export class Mailbox<Item extends object> {
  size = 0
  #head: Segment<Item> = new Segment()
  #tail: Segment<Item> = this.#head
  #spare: Segment<Item> | undefined = undefined

  push(item: Item): void {
    let tail = this.#tail
    if (tail.end === segmentSlots) {
      const next = this.#spare ?? new Segment<Item>()
      this.#spare = undefined
      tail.next = next
      this.#tail = tail = next
    }
    tail.slots[tail.end++] = item
    this.size++
  }

  shift(): Item | undefined {
    const head = this.#head
    if (head.start === head.end) return undefined
    const item = head.slots[head.start]
    head.slots[head.start++] = undefined
    this.size--
    if (head.start === head.end) this.#emptied(head)
    return item
  }

  clear(): void {
    while (this.size > 0) this.shift()
  }

  #emptied(head: Segment<Item>): void {
    head.start = 0
    head.end = 0
    if (head.next === undefined) return
    this.#head = head.next
    head.next = undefined
    this.#spare = head
  }
}

class Segment<Item> {
  start = 0
  end = 0
  next: Segment<Item> | undefined = undefined
  readonly slots: (Item | undefined)[] = new Array(segmentSlots).fill(undefined)
}
