/** The header list of a request: what RFC 9113, sections 8.2 and 8.3, demand of it. */

export interface Request {
  readonly method: string
  readonly scheme: string
  /** Of an OPTIONS request '*'; else it starts with '/', or is whatever the client sent. */
  readonly path: string
  /** `:authority`, else `host`. gRPC clients send odd ones: it is not looked into. */
  readonly authority: string
  /** Name, value, name, value; without the pseudo-headers. */
  readonly fields: readonly string[]
  /** -1: not given. */
  readonly contentLength: number
  /** What the owner of the connection made of it, once for all requests with these headers. */
  meaning: unknown
}

/** Stands for one whose headers were too large to keep. */
export const noRequest: Request = {
  method: '',
  scheme: '',
  path: '',
  authority: '',
  fields: [],
  contentLength: -1,
  meaning: undefined,
}

/** The request, or what is wrong with it. */
export function parseRequest(fields: readonly string[]): Request | string {
  const pseudo = new Map<string, string>()
  let at = 0
  for (; at < fields.length && fields[at]!.startsWith(':'); at += 2) {
    const name = fields[at]!
    if (!requestPseudoHeaders.has(name)) return `pseudo-header ${name}`
    if (pseudo.has(name)) return `${name} twice`
    pseudo.set(name, fields[at + 1]!)
  }
  const regular = fields.slice(at)
  const wrong = checkFields(regular)
  if (wrong !== '') return wrong
  const method = pseudo.get(':method')
  const path = pseudo.get(':path')
  const scheme = pseudo.get(':scheme')
  if (method === undefined || method === '') return 'no :method'
  if (method === 'CONNECT') return 'CONNECT is not served'
  if (path === undefined || path === '') return 'no :path'
  if (scheme === undefined || scheme === '') return 'no :scheme'
  const contentLength = lengthOf(regular)
  if (contentLength < -1) return 'content-length'
  return {
    method,
    scheme,
    path,
    authority: pseudo.get(':authority') ?? fieldOf(regular, 'host'),
    fields: regular,
    contentLength,
    meaning: undefined,
  }
}

/** '' if these are proper regular fields (also of trailers), else what is wrong. */
export function checkFields(fields: readonly string[]): string {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    const value = fields[at + 1]!
    if (!fieldName.test(name)) return `field name ${JSON.stringify(name.slice(0, 64))}`
    if (!fieldValue.test(value)) return `value of ${name}`
    if (connectionFields.has(name)) return `connection-specific field ${name}`
    if (name === 'te' && value !== 'trailers') return 'te other than trailers'
  }
  return ''
}

/** Value of the first field with this name, or ''. */
export function fieldOf(fields: readonly string[], name: string): string {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1]!
  return ''
}

const requestPseudoHeaders = new Set([':method', ':scheme', ':path', ':authority'])
const connectionFields = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
/** Lower-case tokens: pseudo-headers after regular fields and upper case fail here. */
const fieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
/** No NUL, CR or LF, and no white space at either end. */
const fieldValue = /^(?![ \t])[^\0\r\n]*(?<![ \t])$/

/** -1: absent; -2: malformed, or two that differ. */
function lengthOf(fields: readonly string[]): number {
  let length = -1
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] !== 'content-length') continue
    const value = fields[at + 1]!
    if (!/^[0-9]{1,15}$/.test(value)) return -2
    if (length >= 0 && length !== Number(value)) return -2
    length = Number(value)
  }
  return length
}
