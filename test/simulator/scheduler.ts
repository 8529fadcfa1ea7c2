/**
 * The one queue of a simulated world: what happens next, in virtual milliseconds. Events of one
 * instant happen in the order in which they were scheduled, so a seed always gives the same run.
 */
import type { Timer } from '../../runtime/host.ts'

export interface Scheduler {
  readonly nowMillis: number
  at(millis: number, action: () => void): Timer
  after(delayMillis: number, action: () => void): Timer
  /** Runs the next event; false when there is none (or none until `untilMillis`). */
  step(untilMillis?: number): boolean
  readonly steps: number
}

interface Event {
  readonly millis: number
  readonly order: number
  action: (() => void) | undefined
}

export function createScheduler(): Scheduler {
  const heap: Event[] = []
  let nowMillis = 0
  let order = 0
  let steps = 0

  return {
    get nowMillis() {
      return nowMillis
    },
    get steps() {
      return steps
    },
    at: schedule,
    after: (delayMillis, action) => schedule(nowMillis + Math.max(0, delayMillis), action),
    step(untilMillis = Number.POSITIVE_INFINITY) {
      for (;;) {
        const next = heap[0]
        if (next === undefined || next.millis > untilMillis) {
          if (untilMillis !== Number.POSITIVE_INFINITY) nowMillis = Math.max(nowMillis, untilMillis)
          return false
        }
        pop()
        const action = next.action
        if (action === undefined) continue
        nowMillis = next.millis
        steps++
        action()
        return true
      }
    },
  }

  function schedule(millis: number, action: () => void): Timer {
    const event: Event = { millis: Math.max(millis, nowMillis), order: order++, action }
    push(event)
    return {
      cancel() {
        event.action = undefined
      },
    }
  }

  function push(event: Event): void {
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isEarlier(event, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
  }

  function pop(): void {
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isEarlier(heap[child + 1]!, heap[child]!)) child++
      if (!isEarlier(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

function isEarlier(left: Event, right: Event): boolean {
  return left.millis < right.millis || (left.millis === right.millis && left.order < right.order)
}
