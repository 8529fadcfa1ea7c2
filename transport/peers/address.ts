import type { TlsFiles } from '../../runtime/host.ts'

/** Where a node listens, as configurations, operators and memberships write it. */
export interface PeerAddress {
  readonly host: string
  readonly port: number
  /** How it is dialled where nodes show certificates. */
  readonly tls?: TlsFiles
}

/** `host:port`, an IPv6 host in brackets. */
export function splitAddress(address: string): PeerAddress {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(address.slice(colon + 1)) }
}
