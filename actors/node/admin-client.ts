/** One request to a node's admin port, for the command line. */
import { readFileSync } from 'node:fs'
import { request, type RequestOptions } from 'node:http'
import { request as secureRequest } from 'node:https'
import { CommandError } from './errors.ts'

export interface AdminAnswer {
  readonly status: number
  readonly text: string
}

/** How a command proves itself, and what it trusts. */
export interface AdminAccess {
  readonly token?: string
  /** PEM of the authorities that are believed, instead of the well-known ones and NODE_EXTRA_CA_CERTS. */
  readonly authority?: string
  /** Of nodes that the caller has started itself, any certificate is good. */
  readonly anyCertificate?: boolean
}

/** As options of the command line have it. */
export interface AccessOptions {
  readonly token?: string
  readonly tokenFile?: string
  readonly cacert?: string
}

const timeoutMillis = 5000
const socketPrefix = 'unix:'
/** Of the command that runs in this process. */
let ownAccess: AdminAccess = {}

/** Once, before the command asks anything. @throws CommandError where a file cannot be read. */
export function useAccess(options: AccessOptions): void {
  ownAccess = accessOf(options)
}

function accessOf({ token, tokenFile, cacert }: AccessOptions): AdminAccess {
  const [ownToken] = token === undefined ? linesOf('--token-file', tokenFile) : [token]
  const authority = textOf('--cacert', cacert)
  return {
    ...(ownToken === undefined ? {} : { token: ownToken }),
    ...(authority === undefined ? {} : { authority }),
  }
}

/** `endpoint`: host:port, https://host:port, or unix:/path. */
export function requestAdmin(
  endpoint: string,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  access: AdminAccess = ownAccess,
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const { url, socketPath } = targetOf(endpoint, path)
    const send = url.protocol === 'https:' ? secureRequest : request
    const { token, authority, anyCertificate = false } = access
    const options: RequestOptions & { rejectUnauthorized: boolean; ca?: string } = {
      method,
      timeout: timeoutMillis,
      rejectUnauthorized: !anyCertificate,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(authority === undefined ? {} : { ca: authority }),
      ...(socketPath === undefined ? {} : { socketPath }),
    }
    const sent = send(url, options, response => {
      response.setEncoding('utf8')
      let text = ''
      response.on('data', (part: string) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMillis} ms`)))
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function targetOf(endpoint: string, path: string): { url: URL; socketPath?: string } {
  if (endpoint.startsWith(socketPrefix)) {
    return {
      url: new URL(path, 'http://localhost'),
      socketPath: endpoint.slice(socketPrefix.length),
    }
  }
  return { url: new URL(path, endpoint.includes('://') ? endpoint : `http://${endpoint}`) }
}

function linesOf(option: string, file: string | undefined): string[] {
  const text = textOf(option, file)
  return (text ?? '')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
}

function textOf(option: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new CommandError(`${option}: ${(error as Error).message}`)
  }
}
