/**
 * Events for many go out in slices: between them the thread's other actors, timers and sockets have
 * their turn, while whatever else comes to the watches waits in its order.
 */
import { type Slice, sliceDefaults, type SliceSetup } from '../state/slices.ts'

export interface FanOutSlices {
  readonly slice: Pick<Slice, 'spent'>
  /** What goes to so many watches, or copies so many KiB, goes out at once. */
  readonly unslicedMax: number
}

export const fanOutDefaults: SliceSetup = { ...sliceDefaults, unslicedKeysMax: 256 }

/** Beyond so many waiting messages nothing goes in slices any more: what waits has to end. */
export const heldMessagesMax = 1_048_576
