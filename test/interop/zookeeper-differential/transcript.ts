/**
 * What one server answered, as lines that another server's can be compared with. Numbers that each
 * server assigns for itself are named by their order: a zxid by its rank among those that Stats
 * showed, a session by its connection. Times are only checked: one zxid has one time.
 */
export type Part = string | { readonly zxid: bigint; readonly exact: boolean }

export class Transcript {
  readonly #lines: Part[][] = []
  /** Of the current step, by connection: how connections interleave within a step says nothing. */
  readonly #notes = new Map<string, Part[][]>()
  readonly #seen = new Set<bigint>()
  readonly #times = new Map<bigint, bigint>()
  readonly #sessions = new Map<bigint, string>()

  step(text: string): void {
    const names = [...this.#notes.keys()].sort()
    for (const name of names) this.#lines.push(...(this.#notes.get(name) ?? []))
    this.#notes.clear()
    this.#lines.push([text])
  }

  note(name: string, ...parts: Part[]): void {
    const notes = this.#notes.get(name) ?? []
    notes.push([`  ${name}: `, ...parts])
    this.#notes.set(name, notes)
  }

  nameSession(id: bigint, name: string): void {
    if (!this.#sessions.has(id)) this.#sessions.set(id, name)
  }

  sessionName(id: bigint): string {
    return id === 0n ? '0' : (this.#sessions.get(id) ?? 'unknown')
  }

  /** 68 bytes from `at` on. */
  stat(bytes: Buffer, at: number): Part[] {
    const [czxid, mzxid, ctime, mtime] = [0, 8, 16, 24].map(by =>
      bytes.readBigInt64BE(at + by),
    ) as [bigint, bigint, bigint, bigint]
    const pzxid = bytes.readBigInt64BE(at + 60)
    for (const zxid of [czxid, mzxid, pzxid]) this.#seen.add(zxid)
    const ints = ['version', 'cversion', 'aversion'].map(
      (name, index) => `${name}=${bytes.readInt32BE(at + 32 + index * 4)}`,
    )
    const owner = this.sessionName(bytes.readBigInt64BE(at + 44))
    return [
      ' {c=',
      { zxid: czxid, exact: true },
      ' m=',
      { zxid: mzxid, exact: true },
      ' p=',
      { zxid: pzxid, exact: true },
      ` ${ints.join(' ')} owner=${owner} length=${bytes.readInt32BE(at + 52)}`,
      ` children=${bytes.readInt32BE(at + 56)}${this.#time(czxid, ctime)}${this.#time(mzxid, mtime)}}`,
    ]
  }

  #time(zxid: bigint, time: bigint): string {
    if (zxid === 0n) return ''
    const known = this.#times.get(zxid)
    this.#times.set(zxid, time)
    return known === undefined || known === time ? '' : ' OTHER TIME'
  }

  text(): string[] {
    this.step('end')
    const order = [...this.#seen].filter(zxid => zxid > 0n).sort((a, b) => (a < b ? -1 : 1))
    const name = ({ zxid, exact }: { zxid: bigint; exact: boolean }): string => {
      if (zxid <= 0n) return `z${zxid}`
      const rank = order.filter(one => one <= zxid).length
      return `z${rank}${exact && rank > 0 && order[rank - 1] === zxid ? '=' : ''}`
    }
    return this.#lines.map(parts =>
      parts.map(part => (typeof part === 'string' ? part : name(part))).join(''),
    )
  }
}
