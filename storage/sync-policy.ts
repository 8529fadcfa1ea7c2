/**
 * Whether the thread waits for the next sync (DESIGN.md D15): that costs less while the disk is quick, but
 * whoever waits touches no session and answers no ping. So it must have been quick for a while, and nobody
 * waits longer than a quick sync takes: then it goes on off the thread (`DiskFile.syncWithin`).
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

export const quickMillis = 5
/** Syncs in a row. */
const quickWanted = 8
