/**
 * Random scenarios from a seed: a few connections work on one small subtree, with pipelines, watches,
 * access lists, multis, sessions that come back, and now and then a frame that is not well formed.
 */
import type { Request } from './session.ts'
import type { Made, Scenario, Step } from './scenario.ts'
import * as wire from './wire.ts'
import { type Acl, op } from './wire.ts'

export function randomScenario(seed: number, stepCount: number): Scenario {
  return new Generator(seed).scenario(stepCount)
}

const connections = ['a', 'b', 'c']
const hash = { u1: 'u1:fpT/y03U+EjItKZOSLGvjnJlyng=', u2: 'u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE=' }

const goodAcls: readonly (readonly Acl[])[] = [
  [{ perms: 1, scheme: 'world', id: 'anyone' }],
  [{ perms: 30, scheme: 'world', id: 'anyone' }],
  [{ perms: 31, scheme: 'digest', id: hash.u1 }],
  [
    { perms: 31, scheme: 'digest', id: hash.u1 },
    { perms: 1, scheme: 'digest', id: hash.u2 },
    { perms: 16, scheme: 'world', id: 'anyone' },
  ],
  [{ perms: 31, scheme: 'auth', id: '' }],
  [{ perms: 5, scheme: 'auth', id: 'whatever' }, ...wire.openAcl],
  [{ perms: 31, scheme: 'ip', id: '127.0.0.1' }],
  [{ perms: 31, scheme: 'ip', id: '127.0.0.0/8' }],
  [
    { perms: 3, scheme: 'ip', id: '10.0.0.0/8' },
    { perms: 28, scheme: 'world', id: 'anyone' },
  ],
  [...wire.openAcl, ...wire.openAcl, { perms: 1, scheme: 'world', id: 'anyone' }],
  [{ perms: 0, scheme: 'world', id: 'anyone' }, ...wire.openAcl],
]

const badAcls: readonly (readonly Acl[] | null)[] = [
  null,
  [],
  [{ perms: 31, scheme: 'world', id: 'somebody' }],
  [{ perms: 31, scheme: 'nobody', id: 'x' }],
  [{ perms: 31, scheme: 'digest', id: 'nocolon' }],
  [{ perms: 31, scheme: 'digest', id: 'a:b:c' }],
  [{ perms: 31, scheme: 'digest', id: ':x' }],
  [{ perms: 31, scheme: 'digest', id: 'x:' }],
  [{ perms: 31, scheme: 'ip', id: '127.0.0' }],
  [{ perms: 31, scheme: 'ip', id: '127.0.0.1/33' }],
  [{ perms: 31, scheme: 'ip', id: '127.0.0.1/' }],
  [{ perms: 31, scheme: 'ip', id: '' }],
  [{ perms: 31, scheme: '', id: '' }],
  [{ perms: 31, scheme: null, id: null }],
  [{ perms: 31, scheme: 'super', id: '' }],
  [...wire.openAcl, { perms: 31, scheme: 'digest', id: 'nocolon' }],
]

class Generator {
  readonly #seed: number
  readonly #root: string
  #state: number
  readonly #marks: string[] = []
  /** With access lists, and then without setWatches, which ZooKeeper lets pass by them. */
  readonly #guarded: boolean

  constructor(seed: number) {
    this.#seed = seed
    this.#root = `/d${seed}`
    this.#guarded = seed % 2 === 0
    this.#state = seed * 2654435761
  }

  scenario(stepCount: number): Scenario {
    const steps: Step[] = connections.map(connection => ({ kind: 'open', connection }))
    const start = { type: op.create, body: wire.create(this.#root) }
    steps.push({ kind: 'send', connection: 'a', requests: [start] })
    while (steps.length < stepCount) steps.push(...this.#steps())
    return { name: `seed ${this.#seed}`, steps }
  }

  /** mulberry32 */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count)
  }

  #chance(part: number): boolean {
    return this.#random() < part
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T
  }

  #steps(): Step[] {
    const connection = this.#pick(connections)
    if (this.#chance(0.04)) return this.#comeBack(connection)
    if (this.#chance(0.04)) {
      const name = `m${this.#marks.length}`
      this.#marks.push(name)
      return [{ kind: 'mark', connection, name }]
    }
    if (this.#chance(0.02)) return this.#ends(connection)
    // Alone: ZooKeeper answers auth packets ahead of what is still under way.
    if (this.#chance(0.05)) {
      return [{ kind: 'send', connection, requests: [{ type: op.auth, body: this.#auth() }] }]
    }
    const count = this.#chance(0.5) ? 1 : 1 + this.#below(8)
    const requests = Array.from({ length: count }, () => this.#request())
    return [{ kind: 'send', connection, requests }]
  }

  #comeBack(connection: string): Step[] {
    const steps: Step[] = []
    const password = this.#chance(0.1) ? 'wrong' : undefined
    if (password !== undefined || this.#chance(0.5)) steps.push({ kind: 'drop', connection })
    const open = { kind: 'open', connection, resume: connection } as const
    steps.push(password === undefined ? open : { ...open, password })
    return password === undefined ? steps : [...steps, { kind: 'open', connection }]
  }

  #ends(connection: string): Step[] {
    const last: Request = this.#chance(0.7)
      ? { type: op.closeSession, body: Buffer.alloc(0) }
      : { type: op.auth, body: wire.auth('nosuch', 'x') }
    const before = [this.#request(), this.#request()]
    const ending: Step[] =
      last.type === op.closeSession
        ? [{ kind: 'send', connection, requests: [...before, last] }]
        : [before, [last]].map(requests => ({ kind: 'send', connection, requests }))
    return [
      ...ending,
      last.type === op.closeSession
        ? { kind: 'open', connection }
        : { kind: 'open', connection, resume: connection },
    ]
  }

  #request(): Made<Request> {
    if (this.#chance(0.03)) return this.#broken()
    const draw = this.#below(100)
    if (draw < 22) return this.#write(this.#chance(0.3) ? op.create2 : op.create)
    if (draw < 30) return this.#write(op.delete)
    if (draw < 40) return this.#write(op.setData)
    if (draw < 44)
      return { type: op.setAcl, body: wire.setAcl(this.#path(), this.#acl(), this.#version()) }
    if (draw < 54) return this.#multi()
    if (draw < 84) return this.#read()
    if (draw < 88 && !this.#guarded) return this.#setWatches()
    if (draw < 90) return { type: op.sync, body: wire.text(this.#goodPath()) }
    return this.#read()
  }

  #read(): Request {
    const type = this.#pick([op.exists, op.getData, op.getChildren, op.getChildren2, op.getAcl])
    if (type === op.getAcl) return { type, body: wire.text(this.#path()) }
    return { type, body: wire.watched(this.#path(), this.#chance(0.6)) }
  }

  #write(type: number): Request {
    switch (type) {
      case op.delete:
      case op.check:
        return { type, body: wire.versioned(this.#path(), this.#version()) }
      case op.setData:
        return { type, body: wire.set(this.#path(), this.#data(), this.#version()) }
      default:
        return {
          type,
          body: wire.create(this.#newPath(), this.#data(), this.#acl(), this.#flags()),
        }
    }
  }

  #multi(): Request {
    const types = [op.create, op.create2, op.delete, op.setData, op.check, op.create, op.setData]
    const operations = Array.from({ length: this.#below(6) }, () => {
      if (this.#chance(0.02)) return this.#read()
      if (this.#chance(0.005)) return { type: 99, body: Buffer.alloc(0) }
      return this.#write(this.#pick(types))
    })
    return { type: op.multi, body: wire.multi(operations) }
  }

  #setWatches(): Made<Request> {
    const paths = (): string[] => Array.from({ length: this.#below(4) }, () => this.#goodPath())
    const [data, exist, child] = [paths(), paths(), paths()]
    const mark = this.#marks.length > 0 && this.#chance(0.7) ? this.#pick(this.#marks) : undefined
    const fixed = this.#pick([0n, -1n, 1n << 50n])
    const xid = this.#chance(0.5) ? { xid: -8 } : {}
    return marks => ({
      type: op.setWatches,
      body: wire.setWatches(
        mark === undefined ? fixed : (marks.get(mark) ?? 0n),
        data,
        exist,
        child,
      ),
      ...xid,
    })
  }

  #auth(): Buffer {
    if (this.#chance(0.1)) return wire.auth('ip', '1.2.3.4')
    return this.#pick([wire.auth('digest', 'u1:p1'), wire.auth('digest', 'u2:p2')])
  }

  /** A well-formed one with one byte changed, cut short or prolonged. */
  #broken(): Request {
    const request = this.#pick([
      this.#write(this.#pick([op.create, op.delete, op.setData, op.create2])),
      this.#multi(),
      this.#read(),
      { type: op.setAcl, body: wire.setAcl(this.#goodPath(), this.#acl(), -1) },
    ])
    const body = Buffer.from(request.body)
    const at = this.#below(body.length)
    const draw = this.#below(3)
    if (draw === 0) return { type: request.type, body: body.subarray(0, at) }
    if (draw === 1) return { type: request.type, body: Buffer.concat([body, Buffer.alloc(3, 1)]) }
    body[at] = this.#pick([0, 1, 0x7f, 0x80, 0xff])
    return { type: request.type, body }
  }

  #goodPath(): string {
    return this.#pick(
      ['', '/a', '/b', '/a/a', '/a/b', '/b/a', '/e', '/a/a/a', '/e/x'].map(end => this.#root + end),
    )
  }

  #path(): string | Uint8Array | null {
    if (this.#chance(0.85)) return this.#goodPath()
    if (this.#chance(0.3)) return this.#sequential()
    return this.#oddPath()
  }

  #newPath(): string | Uint8Array | null {
    if (this.#chance(0.12)) return `${this.#goodPath()}/s-`
    if (this.#chance(0.05)) return `${this.#goodPath()}/`
    return this.#path()
  }

  #sequential(): string {
    return `${this.#pick([this.#root, `${this.#root}/a`])}/s-000000000${this.#below(5)}`
  }

  #oddPath(): string | Uint8Array | null {
    const root = this.#root
    return this.#pick([
      null,
      '',
      '/',
      'a',
      `${root}/a/`,
      `${root}//a`,
      `/${root}`,
      `${root}/./a`,
      `${root}/../a`,
      `${root}/a/..`,
      `${root}/.`,
      `${root}/...`,
      `${root}/a\0`,
      `${root}/a\u0001`,
      `${root}/\u007f`,
      `${root}/\u0085`,
      `${root}/ü`,
      `${root}/😀`,
      `${root}/\ue000`,
      `${root}/\ufff1`,
      `${root}/a/ `,
      Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]),
      Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xed, 0xa0, 0x80])]),
      '/zookeeper',
      '/zookeeper/quota',
      '/zookeeper/nothing',
      '/nothing/there',
    ])
  }

  #data(): Uint8Array | null {
    if (this.#chance(0.1)) return null
    if (this.#chance(0.1)) return Buffer.alloc(0)
    if (this.#chance(0.02)) return Buffer.alloc(5000, 9)
    return Buffer.from(`v${this.#below(1000)}`)
  }

  #acl(): readonly Acl[] | null {
    if (!this.#guarded || this.#chance(0.75)) return wire.openAcl
    return this.#chance(0.7) ? this.#pick(goodAcls) : this.#pick(badAcls)
  }

  #flags(): number {
    if (this.#chance(0.5)) return 0
    if (this.#chance(0.05)) return this.#pick([-1, 7, 8, 256, 2147483647])
    return this.#below(4)
  }

  #version(): number {
    if (this.#chance(0.6)) return -1
    return this.#chance(0.1) ? this.#pick([-2, 2147483647]) : this.#below(3)
  }
}
