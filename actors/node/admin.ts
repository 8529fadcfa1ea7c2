/**
 * What the admin port answers: GET /ready (a linearizable read), /health, /status, /members,
 * /metrics; POST /members and /transfer. Errors are JSON with one sentence.
 */
import { hostname } from 'node:os'
import { systemClock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import { createGuard, type Guard } from '../../transport/admin/admin-guard.ts'
import {
  type AdminRequest,
  type AdminResponse,
  type AdminServer,
  startAdminServer,
} from '../../transport/admin/admin-server.ts'
import type { Membership, WaitingReason } from '../consensus/interface.ts'
import { help } from '../consensus/shell/waiting-notice.ts'
import { splitAddress } from '../../transport/peers/address.ts'
import { certificateNews } from '../certificate-news.ts'
import { handshakeNews } from '../handshake-news.ts'
import { type Config, tokenCharactersMin } from './config-schema.ts'
import type { Control } from './control-actor.ts'
import { memberDifferences, membersOf } from './member-differences.ts'
import type { NodeMetrics } from './node-metrics.ts'
import { troubles } from './status.ts'
import { isLoopback, readSecrets } from './peer-trust.ts'

type Answer = (response: AdminResponse) => void

export function startAdmin(
  config: Config,
  control: Control,
  metrics: NodeMetrics | undefined,
  log: Logger,
): Promise<AdminServer> {
  const { host, port, certificate, key, socket } = config.listeners.admin
  const tls = certificate === undefined || key === undefined ? {} : { tls: { certificate, key } }
  const routes = new Routes(config, control, metrics)
  return startAdminServer({
    host,
    port,
    ...tls,
    ...(socket === undefined ? {} : { socket }),
    guard: guardOf(config),
    onCertificates: certificateNews(log, 'admin'),
    onHandshakeFailed: handshakeNews(log, systemClock, 'admin'),
    handle: (request, answer) => routes.handle(request, answer),
  })
}

/** @throws CommandError where the file of tokens cannot be used. */
export function adminTokens({ listeners }: Config): readonly string[] {
  const { token, tokenFile } = listeners.admin
  if (token !== undefined) return [token]
  if (tokenFile === undefined) return []
  return readSecrets('listeners.admin.tokenFile', tokenFile, tokenCharactersMin)
}

function guardOf(config: Config): Guard {
  const { admin, etcd } = config.listeners
  const addresses = [...config.cluster.members.flatMap(one => [one.peer, one.etcd]), etcd.advertise]
  const ofMembers = addresses.filter(one => one !== undefined).map(one => splitAddress(one).host)
  return createGuard({
    hosts: [admin.host, ...admin.hosts, ...ofMembers, hostname()],
    tokens: adminTokens(config),
    isLoopback: isLoopback(admin.host),
  })
}

const prometheus = 'text/plain; version=0.0.4; charset=utf-8'

class Routes {
  readonly #config: Config
  readonly #control: Control
  readonly #metrics: NodeMetrics | undefined

  constructor(config: Config, control: Control, metrics: NodeMetrics | undefined) {
    this.#config = config
    this.#control = control
    this.#metrics = metrics
  }

  handle(request: AdminRequest, answer: Answer): void {
    switch (`${request.method} ${request.path}`) {
      case 'GET /ready':
      case 'GET /health':
        return this.#control.ready(error => this.#answerReady(answer, error))
      case 'GET /status':
        return this.#control.status(
          ['consensus', 'journal', 'peers', 'state', 'watches', 'zookeeper', 'etcd'],
          values => json(answer, 200, this.#status(values)),
        )
      case 'GET /metrics':
        if (this.#metrics === undefined) return json(answer, 404, { error: 'metrics are off' })
        return this.#metrics.text(body => answer({ status: 200, body, contentType: prometheus }))
      case 'GET /members':
        return this.#members(answer)
      case 'POST /members':
        return this.#changeMembers(request, answer)
      case 'POST /transfer':
        return this.#transfer(request, answer)
      default:
        return json(answer, 404, { error: `no ${request.method} ${request.path}` })
    }
  }

  #status(values: Record<string, unknown>): Record<string, unknown> {
    const differences = memberDifferences(this.#config, membersOf(values['consensus']))
    return { node: this.#config.node, pid: process.pid, differences, ...values }
  }

  /** A node without space is not ready, although it serves reads: what it lacks is said first. */
  #answerReady(answer: Answer, unconfirmed: string | undefined): void {
    this.#control.status(['consensus', 'state', 'zookeeper'], values => {
      const reasons = [...troubles(values), unconfirmed ?? ''].filter(reason => reason !== '')
      if (reasons.length === 0) json(answer, 200, { health: true })
      else json(answer, 503, { health: false, error: reasons.join('; ') })
    })
  }

  #members(answer: Answer): void {
    this.#control.status(['consensus'], ({ consensus }) => {
      const { membership, waiting = '' } = (consensus ?? {}) as {
        membership?: Membership
        waiting?: WaitingReason | ''
      }
      const { voters = [], learners = [], outgoing = [] } = membership ?? {}
      // A list without anybody in it would say that there is no cluster.
      if (voters.length === 0)
        return json(answer, 503, { error: whyNone(this.#config.node, waiting) })
      const roles = [
        ['voter', voters],
        ['learner', learners],
        ['leaving', outgoing.filter(one => !voters.some(voter => voter.node === one.node))],
      ] as const
      const rows = roles.flatMap(([role, members]) =>
        members.map(({ node, address, store, etcd = '' }) => ({
          name: this.#nameOf(node),
          id: node,
          peer: address,
          etcd,
          role,
          store,
        })),
      )
      json(answer, 200, rows)
    })
  }

  #changeMembers(request: AdminRequest, answer: Answer): void {
    const asked = parseChange(request.body)
    if (typeof asked === 'string') return json(answer, 400, { error: asked })
    const { change, peer, etcd, store = '' } = asked
    const node = this.#idOf(asked.node)
    if (node === undefined) {
      const error = `"${asked.node}" is not in the configuration of ${this.#config.node}: give its id`
      return json(answer, 400, { error })
    }
    const known = this.#config.cluster.members.find(member => member.id === node)
    const isNew = change === 'add'
    const full = {
      change,
      node,
      peer: peer ?? (isNew ? known?.peer : undefined) ?? '',
      store,
      etcd: etcd ?? (isNew ? known?.etcd : undefined) ?? '',
    }
    this.#control.changeMembers(full, error => {
      if (error === undefined) this.#members(answer)
      else json(answer, 409, { error })
    })
  }

  #transfer(request: AdminRequest, answer: Answer): void {
    const node = askedNode(request.body)
    const target = this.#idOf(node)
    if (target === undefined) return json(answer, 400, { error: `"${node}" is no node` })
    const asked = { change: 'transfer', node: target, peer: '', store: '', etcd: '' }
    this.#control.changeMembers(asked, error => {
      if (error === undefined) json(answer, 200, { leader: target })
      else json(answer, 409, { error })
    })
  }

  #idOf(node: string): number | undefined {
    const byName = this.#config.cluster.members.find(member => member.name === node)
    if (byName !== undefined) return byName.id
    const id = Number(node)
    return Number.isInteger(id) && id > 0 ? id : undefined
  }

  #nameOf(node: number): string {
    return this.#config.cluster.members.find(member => member.id === node)?.name ?? `node${node}`
  }
}

function whyNone(node: string, waiting: WaitingReason | ''): string {
  const reason = waiting === '' ? 'its log is not in memory yet' : help[waiting]
  return `${node} knows no members yet: ${reason}`
}

interface ChangeBody {
  readonly change: string
  readonly node: string
  readonly peer?: string
  readonly store?: string
  readonly etcd?: string
}

function parseChange(body: string): ChangeBody | string {
  try {
    const asked = JSON.parse(body) as ChangeBody
    const { change, node, peer = '', store = '', etcd = '' } = asked
    const areTexts = [change, node, peer, store, etcd].every(value => typeof value === 'string')
    return areTexts ? asked : 'change and node are needed, as texts; peer, store and etcd are texts'
  } catch (error) {
    return `not JSON: ${(error as Error).message}`
  }
}

function askedNode(body: string): string {
  try {
    return String((JSON.parse(body) as { node?: unknown }).node)
  } catch {
    return ''
  }
}

function json(answer: Answer, status: number, value: unknown): void {
  answer({ status, body: `${JSON.stringify(value)}\n` })
}
