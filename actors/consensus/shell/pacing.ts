/**
 * When the leader takes in what has gathered. While an earlier batch is not committed, few bytes wait
 * for it, for a moment at most: with a handful of clients each write would otherwise pay for a sync of
 * its own on every node, and the disk is what they then wait for. Much does not wait, nor does a slow
 * quorum (a long way to it) hold anything up for longer than the moment. Pure: time is given.
 */
export const pacing = { bytesMax: 64 * 1024, waitMillisMax: 1 } as const

export class Pacing {
  #appended = 0
  #committed = 0
  #sinceMillis = 0

  appended(position: number, nowMillis: number): void {
    this.#appended = position
    this.#sinceMillis = nowMillis
  }

  committed(position: number): void {
    this.#committed = position
  }

  mustWait(waitingBytes: number, nowMillis: number): boolean {
    return (
      this.#appended > this.#committed &&
      waitingBytes < pacing.bytesMax &&
      nowMillis - this.#sinceMillis < pacing.waitMillisMax
    )
  }
}
