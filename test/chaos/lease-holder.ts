/** Leases that one client of each node keeps alive, as clientv3 does: every third of their time. */
import type { Endpoint } from '../../benchmarks/load/workload.ts'
import { EtcdCaller, type EtcdStream } from '../actors/gateways/etcd-caller.ts'

export class LeaseHolder {
  readonly #callers: readonly EtcdCaller[]
  readonly #streams: readonly EtcdStream[]
  readonly #ids: readonly number[]
  readonly #lost = new Set<number>()
  #ended = ''
  readonly #timer: NodeJS.Timeout

  static async open(
    endpoints: readonly Endpoint[],
    count: number,
    ttlSeconds: number,
  ): Promise<LeaseHolder> {
    const callers = endpoints.map(({ port }) => new EtcdCaller(port))
    const ids = Array.from({ length: count }, (_, at) => at + 1)
    await Promise.all(
      ids.map(ID => callers[ID % callers.length]!.call('LeaseGrant', { ID, TTL: ttlSeconds })),
    )
    return new LeaseHolder(callers, ids, ttlSeconds)
  }

  constructor(callers: readonly EtcdCaller[], ids: readonly number[], ttlSeconds: number) {
    this.#callers = callers
    this.#ids = ids
    this.#streams = callers.map(caller => caller.stream('LeaseKeepAlive'))
    for (const stream of this.#streams) void this.#listen(stream)
    this.#renew()
    this.#timer = setInterval(() => this.#renew(), (ttlSeconds * 1000) / 3)
  }

  get count(): number {
    return this.#ids.length
  }

  faults(): string[] {
    const faults: string[] = []
    if (this.#lost.size > 0) faults.push(`${this.#lost.size} leases were lost`)
    if (this.#ended !== '') faults.push(`a stream of keep-alives ended: ${this.#ended}`)
    return faults
  }

  close(): void {
    clearInterval(this.#timer)
    for (const caller of this.#callers) caller.close()
  }

  #renew(): void {
    for (const ID of this.#ids) this.#streams[ID % this.#streams.length]!.send({ ID })
  }

  async #listen(stream: EtcdStream): Promise<void> {
    for (;;) {
      const answer = await Promise.race([stream.next(), stream.ended])
      if (Array.isArray(answer)) {
        this.#ended = answer.join(' ')
        return
      }
      if (Number(answer.TTL ?? 0) === 0) this.#lost.add(Number(answer.ID))
    }
  }
}
