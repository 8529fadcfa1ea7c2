/** Plain HTTP on the etcd port: /health, /version and /metrics, as etcd answers them. */
import type { HttpRequest, HttpResponse } from '../../transport/etcd/api.ts'
import {
  etcdClusterVersion,
  etcdStorageVersion,
  etcdVersion,
} from '../../transport/etcd/messages/maintenance.ts'

export interface HttpSetup {
  readonly tally: HealthTally
  readonly hasLeader: () => boolean
  /** Whether the state has reached its quota, so that writes are refused. */
  readonly isFull: (answer: (full: boolean) => void) => void
  /** A read that proves that this node serves; `error` is the gRPC text, or ''. */
  readonly probe: (serializable: boolean, done: (error: string) => void) => void
  readonly metrics: (answer: (text: string) => void) => void
}

/** What /health has answered so far. */
export class HealthTally {
  successes = 0
  failures = 0
}

const headers = {
  'Access-Control-Allow-Headers': 'accept, content-type, authorization',
  'Access-Control-Allow-Methods': 'POST, GET, OPTIONS, PUT, DELETE',
  'Access-Control-Allow-Origin': '*',
} as const
const plain = 'text/plain; charset=utf-8'

export function answerHttp(
  setup: HttpSetup,
  request: HttpRequest,
  answer: (response: HttpResponse) => void,
): void {
  const { path } = request
  if (request.method === 'OPTIONS') {
    answer({ status: 200, contentType: '', body: '', headers })
  } else if (path !== '/health' && path !== '/version' && path !== '/metrics') {
    answer({ status: 404, contentType: plain, body: '404 page not found\n', headers })
  } else if (request.method !== 'GET') {
    const allow = { ...headers, Allow: 'GET' }
    answer({ status: 405, contentType: plain, body: 'Method Not Allowed\n', headers: allow })
  } else if (path === '/version') {
    answer({ status: 200, contentType: 'application/json', body: version, headers })
  } else if (path === '/metrics') {
    const contentType = 'text/plain; version=0.0.4; charset=utf-8'
    setup.metrics(text => answer({ status: 200, contentType, body: text, headers }))
  } else answerHealth(setup, request, answer)
}

const version = JSON.stringify({
  etcdserver: etcdVersion,
  etcdcluster: etcdClusterVersion,
  storage: etcdStorageVersion,
})

/** In etcd's order: alarms, unless they are excluded; then the leader, unless for a serializable read; then a read. */
function answerHealth(
  setup: HttpSetup,
  request: HttpRequest,
  answer: (response: HttpResponse) => void,
): void {
  const query = new URLSearchParams(request.query)
  const serializable = query.get('serializable') === 'true'
  const tell = (reason: string): void => {
    if (reason === '') setup.tally.successes += 1
    else setup.tally.failures += 1
    answer(health(reason))
  }
  const probe = (): void => {
    if (!serializable && !setup.hasLeader()) return tell('RAFT NO LEADER')
    setup.probe(serializable, error => tell(error === '' ? '' : `RANGE ERROR:${error}`))
  }
  if (query.getAll('exclude').includes('NOSPACE')) return probe()
  setup.isFull(full => (full ? tell('ALARM NOSPACE') : probe()))
}

function health(reason: string): HttpResponse {
  const body = JSON.stringify({ health: reason === '' ? 'true' : 'false', reason })
  return { status: reason === '' ? 200 : 503, contentType: plain, body, headers }
}
