/** One request to both servers, and what of their answers differs. */
import { Metadata } from '@grpc/grpc-js'
import { EtcdCaller, type EtcdStream } from '../../actors/gateways/etcd-caller.ts'
import type { Decoded } from '../../transport/etcd/messages/schema.ts'

export class Pair {
  readonly quorate: EtcdCaller
  readonly etcd: EtcdCaller
  /** Revision of both, as far as answers have shown. */
  revision = 1
  compared = 0
  differences = 0

  constructor(quoratePort: number, etcdPort: number) {
    this.quorate = new EtcdCaller(quoratePort)
    this.etcd = new EtcdCaller(etcdPort)
  }

  /** Returns Quorate's answer. */
  async call(method: string, request: object, metadata = new Metadata()): Promise<Decoded> {
    const [own, other] = await Promise.all([
      this.quorate.call(method, request, metadata),
      this.etcd.call(method, request, metadata),
    ])
    this.compare(`${method} ${show(request)}`, own, other)
    const revision = Number(own.header?.revision ?? 0)
    // From here on everything would differ.
    if (revision !== Number(other.header?.revision ?? 0)) throw new Error('the stores went apart')
    this.revision = Math.max(this.revision, revision)
    return own
  }

  async bytes(path: string, message: Uint8Array): Promise<void> {
    const [own, other] = await Promise.all([
      this.quorate.callBytes(path, message),
      this.etcd.callBytes(path, message),
    ])
    // Where both succeed the decoded answers are compared elsewhere.
    const outcome = (answer: Buffer | [number, string]) =>
      Array.isArray(answer)
        ? [answer[0], answer[1].replace(/proto: \w+Request: /, 'proto: ')]
        : 'ok'
    this.compare(
      `${path} ${Buffer.from(message.subarray(0, 40)).toString('hex')}`,
      outcome(own),
      outcome(other),
    )
  }

  streams(method: string): [quorate: EtcdStream, etcd: EtcdStream] {
    return [this.quorate.stream(method), this.etcd.stream(method)]
  }

  compare(what: string, own: Decoded, other: Decoded): void {
    this.compared += 1
    // A second may end between the two.
    if (own.grantedTTL !== undefined && Math.abs(own.TTL - other.TTL) <= 1) own.TTL = other.TTL
    const left = show(plain(own))
    const right = show(plain(other))
    if (left === right) return
    this.differences += 1
    console.log(`DIFFERS ${what}\n  quorate: ${left}\n  etcd:    ${right}`)
  }

  close(): void {
    this.quorate.close()
    this.etcd.close()
  }
}

/**
 * Without what no two clusters have in common; what is left out is still seen to be there. Leases,
 * and keys of a lease, have no order in etcd.
 */
export function plain(answer: Decoded): Decoded {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return answer
  const { header, ...rest } = answer
  if (header === undefined) return answer
  const known = { cluster_id: true, member_id: true, raft_term: true }
  const shown = Object.entries(header).map(([name, value]) => [
    name,
    name in known ? 'some' : value,
  ])
  if (rest.leases !== undefined) rest.leases.sort(byText)
  if (rest.keys !== undefined) rest.keys.sort(byText)
  return { header: Object.fromEntries(shown), ...rest }
}

function byText(left: unknown, right: unknown): number {
  return show(left) < show(right) ? -1 : 1
}

/** Bytes as text, keys in order. */
export function show(value: unknown): string {
  const text = JSON.stringify(value, (_, one) => {
    if (one?.type === 'Buffer') return Buffer.from(one.data).toString('latin1')
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one
    return Object.fromEntries(
      Object.entries(one).sort(([left], [right]) => (left < right ? -1 : 1)),
    )
  })
  return text.length > 6000 ? `${text.slice(0, 6000)}… (${text.length})` : text
}
