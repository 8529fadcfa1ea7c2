/**
 * Whether the next sync runs in place or off the thread (DESIGN.md D15): in place costs less while the
 * disk is quick, but one slow sync there stops heartbeats, so it must have been quick for a while.
 */
export class SyncPolicy {
  syncs = 0
  lastMillis = 0
  #quickInARow = quickWanted

  get isInline(): boolean {
    return this.#quickInARow >= quickWanted
  }

  took(millis: number): void {
    this.syncs++
    this.lastMillis = millis
    this.#quickInARow = millis < quickMillis ? this.#quickInARow + 1 : 0
  }
}

const quickMillis = 5
/** Syncs in a row. */
const quickWanted = 8
