/**
 * How much of a stream may be under way at once, so that whatever is proposed next applies soon: sessions
 * that are opened and closed, touches and reads that wait for the log stand behind all that was handed in before
 * them, whoever made it. By one sample at a time: a command is watched from its being handed in to its being applied.
 *
 * Where that took longer than `aimMillis` above what it takes with next to nothing under way (a slow disk, a
 * long way to the quorum), less is under way from then on; where it took less and the room was used, more.
 */
export const pacing = {
  /** What may be spent on waiting for others. */
  aimMillis: 250,
  /** What is taken for the time that a command takes alone, at most. */
  aloneMillisMax: 250,
  /** Of what may be under way: at first, and at least. */
  shareFirst: 1 / 10,
  shareMin: 1 / 64,
  growth: 2,
} as const

export class Pace {
  readonly #clock: () => number
  #share: number = pacing.shareFirst
  /** The command that is watched; 0: none. */
  #sequence = 0
  #madeMillis = 0
  /** Of what may be under way, so much was when it was handed in: beside it, and with it. */
  #othersShare = 0
  #usedShare = 0
  #lastMillis = 0
  #aloneMillis = 0

  /** `clock`: monotonic milliseconds. */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** Of what may be under way at all. */
  get share(): number {
    return this.#share
  }

  /** What a command that is made now has to expect, at least. */
  expectedMillis(): number {
    const waitedMillis = this.#sequence === 0 ? 0 : this.#clock() - this.#madeMillis
    return Math.max(waitedMillis, this.#lastMillis)
  }

  get isWatching(): boolean {
    return this.#sequence !== 0
  }

  /** A large command may fill the room by itself, with nothing else under way. */
  watch(sequence: number, othersShare: number, usedShare: number): void {
    this.#sequence = sequence
    this.#othersShare = othersShare
    this.#usedShare = usedShare
    this.#madeMillis = this.#clock()
  }

  applied(sequence: number): void {
    if (this.#sequence === 0 || sequence < this.#sequence) return
    this.#sequence = 0
    this.#lastMillis = this.#clock() - this.#madeMillis
    this.#judge(this.#lastMillis)
  }

  /** What is handed in again says nothing of how long a command takes. */
  forget(): void {
    this.#sequence = 0
  }

  #judge(tookMillis: number): void {
    if (this.#othersShare <= pacing.shareMin) this.#ranAlone(tookMillis)
    const aimMillis = pacing.aimMillis + this.#aloneMillis
    const wasUsed = this.#usedShare >= this.#share / 2
    if (tookMillis > aimMillis) {
      const fitting = Math.min(this.#usedShare, this.#share) * (aimMillis / tookMillis)
      this.#share = Math.max(pacing.shareMin, this.#share / pacing.growth, fitting)
    } else if (wasUsed) {
      const growth = Math.min(pacing.growth, aimMillis / Math.max(1, tookMillis))
      this.#share = Math.min(1, this.#share * growth)
    }
  }

  /** Slower than before: believed little by little. */
  #ranAlone(tookMillis: number): void {
    const slower = this.#aloneMillis + Math.max(0, tookMillis - this.#aloneMillis) / 8
    this.#aloneMillis = Math.min(tookMillis, slower, pacing.aloneMillisMax)
  }
}
