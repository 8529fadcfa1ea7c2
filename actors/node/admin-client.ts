/** One request to a node's admin port, for the command line. */
import { request } from 'node:http'
import { request as secureRequest } from 'node:https'

export interface AdminAnswer {
  readonly status: number
  readonly text: string
}

const timeoutMillis = 5000

export function requestAdmin(
  endpoint: string,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  /** Of nodes that the caller has started itself, any certificate is good. */
  trust: 'authorities' | 'any' = 'authorities',
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const url = new URL(path, endpoint.includes('://') ? endpoint : `http://${endpoint}`)
    // Where the certificate is one of your own, NODE_EXTRA_CA_CERTS names its authority.
    const send = url.protocol === 'https:' ? secureRequest : request
    const rejectUnauthorized = trust === 'authorities'
    const options = { method, timeout: timeoutMillis, rejectUnauthorized }
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
