/**
 * Who may ask the admin port for what, judged by the head of a request alone. A browser on the machine
 * of an operator reaches it too, and carries requests of foreign pages: they are known by the host that
 * they believe to talk to (a name that was pointed at this machine), by their origin, and by bodies
 * that are no JSON (all that a page may send without asking first). Pure.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'

export interface RequestHead {
  readonly method: string
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly contentType: string | undefined
  readonly authorization: string | undefined
  /** Came through the Unix socket, which only its owner can open. */
  readonly isLocal: boolean
}

export interface GuardOptions {
  /** Names by which the port is known; addresses and localhost always are. */
  readonly hosts: readonly string[]
  /** Each is taken; none: none is needed. */
  readonly tokens: readonly string[]
  /** Only processes of this machine reach the port. */
  readonly isLoopback: boolean
}

export interface Refused {
  readonly status: 401 | 403 | 415
  readonly error: string
}

export type Guard = (head: RequestHead) => Refused | undefined

export function createGuard({ hosts, tokens, isLoopback }: GuardOptions): Guard {
  const names = new Set(['localhost', ...hosts.map(host => host.toLowerCase())])
  const digests = tokens.map(digest)
  return head => {
    const changes = head.method !== 'GET' && head.method !== 'HEAD'
    const typeFault = changes ? judgeType(head.contentType) : undefined
    if (head.isLocal) return typeFault
    const token = tokenOf(head.authorization)
    const isAuthorized =
      token !== undefined && digests.some(one => timingSafeEqual(one, digest(token)))
    if (token !== undefined && digests.length > 0 && !isAuthorized) {
      return { status: 401, error: 'the token is not one of listeners.admin.token or tokenFile' }
    }
    // No page of a browser knows the token.
    const hostFault = isAuthorized ? undefined : judgeHost(head.host, names)
    if (hostFault !== undefined || !changes) return hostFault
    return judgeOrigin(head) ?? typeFault ?? (isAuthorized ? undefined : judgeChange())
  }

  function judgeChange(): Refused | undefined {
    if (digests.length > 0) {
      return {
        status: 401,
        error: 'changes need the token of listeners.admin: give it with --token-file',
      }
    }
    if (isLoopback) return undefined
    const error =
      'changes through an admin port that is not on loopback need listeners.admin.token or tokenFile; ' +
      'or use listeners.admin.socket on the machine of the node'
    return { status: 403, error }
  }
}

/** A name that is not ours was pointed at this machine by whoever owns it. */
function judgeHost(host: string | undefined, names: ReadonlySet<string>): Refused | undefined {
  // No browser leaves it out.
  if (host === undefined) return undefined
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  if (isIP(name) !== 0 || names.has(name)) return undefined
  const error = `"${name.slice(0, 255)}" is no name of this node: add it to listeners.admin.hosts`
  return { status: 403, error }
}

function judgeOrigin({ origin, host }: RequestHead): Refused | undefined {
  if (origin === undefined) return undefined
  const from = URL.parse(origin)
  if (from !== null && from.host === host?.toLowerCase()) return undefined
  return { status: 403, error: 'a page of another origin may not change anything' }
}

function judgeType(contentType: string | undefined): Refused | undefined {
  const [type = ''] = (contentType ?? '').split(';')
  if (type.trim().toLowerCase() === 'application/json') return undefined
  return {
    status: 415,
    error: 'the body must be application/json, and its content-type must say so',
  }
}

function tokenOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
}

/** Of equal length, whatever the text. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
