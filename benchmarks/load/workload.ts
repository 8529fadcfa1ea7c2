/** What a load run does; the same description serves every door and every server. */
export interface Workload {
  readonly door: 'zookeeper' | 'etcd'
  readonly operation: Operation
  readonly connections: number
  /** Requests in flight on each connection (closed loop). */
  readonly inFlight: number
  readonly valueBytes: number
  readonly keyCount: number
  /** Requests a second over all connections, at intended times (open loop); 0: closed loop. */
  readonly rate: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

/** `range` is serializable, `rangeLinearizable` is not; `mixed` is 90 % get. */
export type Operation = 'set' | 'get' | 'mixed' | 'put' | 'range' | 'rangeLinearizable'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** One connection of a generator. `send` writes `count` requests at once. */
export interface Client {
  readonly inFlight: number
  send(count: number, intendedMillis: number): void
  close(): void
}

/** Told by clients for every answer; `millis` since the request was sent, or was meant to be. */
export interface Recorder {
  answered(millis: number): void
  failed(reason: string): void
}

export type ConnectClient = (
  endpoint: Endpoint,
  workload: Workload,
  index: number,
  recorder: Recorder,
  onRoom: (client: Client, room: number) => void,
) => Promise<Client>

export function keyName(index: number): string {
  return String(index).padStart(8, '0')
}

/** A ring of start times: answers of one connection come in the order of its requests. */
export class StartTimes {
  #times = new Float64Array(256)
  #first = 0
  #count = 0

  get count(): number {
    return this.#count
  }

  push(millis: number): void {
    if (this.#count === this.#times.length) this.#grow()
    this.#times[(this.#first + this.#count) & (this.#times.length - 1)] = millis
    this.#count += 1
  }

  shift(): number {
    const millis = this.#times[this.#first] ?? 0
    this.#first = (this.#first + 1) & (this.#times.length - 1)
    this.#count -= 1
    return millis
  }

  #grow(): void {
    const bigger = new Float64Array(this.#times.length * 2)
    for (let index = 0; index < this.#count; index += 1) {
      bigger[index] = this.#times[(this.#first + index) & (this.#times.length - 1)] ?? 0
    }
    this.#times = bigger
    this.#first = 0
  }
}
