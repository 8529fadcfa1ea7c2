/** Plays one scenario against one server: steps in order, each finished before the next. */
import { type Request, Session } from './session.ts'
import { Transcript } from './transcript.ts'
import { connectRequest, op } from './wire.ts'

/** Requests may depend on what this server answered before: marks are zxids taken on the way. */
export type Made<T> = T | ((marks: ReadonlyMap<string, bigint>) => T)

export type Step =
  | {
      readonly kind: 'open'
      readonly connection: string
      /** Whose session to come back to. */
      readonly resume?: string
      readonly password?: 'wrong' | 'short' | 'null'
      /** `ahead` of everything, or what the resumed session saw. */
      readonly seen?: 'ahead' | 'none'
      readonly timeoutMillis?: number
      readonly readOnly?: boolean | undefined
      /** Sessions are known by the connection that opened them; here one that never was. */
      readonly session?: bigint
    }
  | {
      readonly kind: 'send'
      readonly connection: string
      readonly requests: readonly Made<Request>[]
    }
  | {
      readonly kind: 'raw'
      readonly connection: string
      readonly bytes: Buffer
      readonly quietMillis?: number
    }
  /** A connection without a handshake. */
  | { readonly kind: 'dial'; readonly connection: string }
  | { readonly kind: 'drop'; readonly connection: string }
  | { readonly kind: 'mark'; readonly connection: string; readonly name: string }
  | { readonly kind: 'wait'; readonly millis: number }

export interface Scenario {
  readonly name: string
  readonly steps: readonly Step[]
  /** Why the two differ here, and are meant to. */
  readonly known?: string
}

export async function play(scenario: Scenario, ports: readonly number[]): Promise<string[]> {
  const transcript = new Transcript()
  const player = new Player(ports, transcript)
  for (const [index, step] of scenario.steps.entries()) {
    transcript.step(`${index} ${describe(step, player.marks)}`)
    await player.step(step)
    await player.settle()
  }
  transcript.step('all sessions are closed')
  await player.end()
  return transcript.text()
}

class Player {
  readonly #ports: readonly number[]
  readonly #transcript: Transcript
  readonly #sessions = new Map<string, Session>()
  /** Those too whose name another has now. */
  readonly #all: Session[] = []
  readonly marks = new Map<string, bigint>()

  constructor(ports: readonly number[], transcript: Transcript) {
    this.#ports = ports
    this.#transcript = transcript
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'open':
        return await this.#open(step)
      case 'dial':
        this.#session(step.connection)
        return
      case 'send':
        return await this.#sessions
          .get(step.connection)
          ?.send(step.requests.map(one => (typeof one === 'function' ? one(this.marks) : one)))
      case 'raw':
        return await this.#sessions.get(step.connection)?.raw(step.bytes, step.quietMillis ?? 300)
      case 'drop':
        return await this.#sessions.get(step.connection)?.drop()
      case 'mark':
        this.marks.set(step.name, this.#sessions.get(step.connection)?.zxid ?? 0n)
        return
      case 'wait':
        return await new Promise(resolve => setTimeout(resolve, step.millis))
    }
  }

  async settle(): Promise<void> {
    for (const session of this.#all) await session.settle()
  }

  /** Leaves no session behind: what it owns would go at some moment of a later scenario. */
  async end(): Promise<void> {
    const ended = new Set([0n])
    for (const session of this.#all) await session.drop()
    for (const { id, password, endpoint } of [...this.#all]) {
      if (ended.has(id)) continue
      ended.add(id)
      const last = this.#session(`end@${endpoint}`)
      await last.open(connectRequest({ session: id, password, readOnly: false }))
      await last.send([{ type: op.closeSession, body: Buffer.alloc(0) }])
      await last.drop()
    }
  }

  /** `name@1` goes to the second server of a cluster, others now to this and now to that one. */
  #session(name: string): Session {
    const chosen = name.split('@')[1] ?? this.#all.length
    const endpoint = Number(chosen) % this.#ports.length
    const port = this.#ports[endpoint] ?? 0
    const session = new Session(
      `${name.split('@')[0]}#${this.#all.length}`,
      port,
      this.#transcript,
      endpoint,
    )
    this.#sessions.set(name, session)
    this.#all.push(session)
    return session
  }

  async #open(step: Extract<Step, { kind: 'open' }>): Promise<void> {
    const before = step.resume === undefined ? undefined : this.#sessions.get(step.resume)
    const session = this.#session(step.connection)
    const password = {
      wrong: Buffer.alloc(16, 7),
      short: Buffer.alloc(3, 7),
      null: null,
      right: before?.password ?? Buffer.alloc(16),
    }[step.password ?? 'right']
    const seen = { ahead: 1n << 60n, none: 0n, own: before?.zxid ?? 0n }[step.seen ?? 'own']
    await session.open(
      connectRequest({
        session: step.session ?? before?.id ?? 0n,
        password,
        lastZxidSeen: seen,
        timeoutMillis: step.timeoutMillis ?? 10_000,
        readOnly: 'readOnly' in step ? step.readOnly : false,
      }),
    )
    if (!session.closed) await before?.over(1_000)
  }
}

function describe(step: Step, marks: ReadonlyMap<string, bigint>): string {
  if (step.kind !== 'send')
    return JSON.stringify(step, (_, value) =>
      typeof value === 'bigint' ? `${value}` : value instanceof Uint8Array ? value.length : value,
    ).slice(0, 200)
  const requests = step.requests.map(one =>
    typeof one === 'function'
      ? `${one(marks).type} since a mark ${printable(one(marks).body.subarray(8))}`
      : `${one.type} ${printable(one.body)}`,
  )
  return `${step.connection} sends ${requests.join(' | ')}`
}

function printable(body: Buffer): string {
  const shown = body.subarray(0, printedBytesMax)
  const text = [...shown].map(byte =>
    byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `~${byte.toString(16)}`,
  )
  return text.join('')
}

const printedBytesMax = 400
