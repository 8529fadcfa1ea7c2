import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/*
 * LeaseGrantRequest: TTL=1 int64; ID=2 int64          LeaseGrantResponse: header=1; ID=2; TTL=3; error=4 string
 * LeaseRevokeRequest: ID=1 int64                      LeaseRevokeResponse: header=1
 * LeaseKeepAliveRequest: ID=1 int64                   LeaseKeepAliveResponse: header=1; ID=2; TTL=3
 * LeaseTimeToLiveRequest: ID=1 int64; keys=2 bool     LeaseTimeToLiveResponse: header=1; ID=2; TTL=3;
 *                                                       grantedTTL=4; keys=5 repeated bytes
 * LeaseLeasesRequest: (no fields)                     LeaseLeasesResponse: header=1; leases=2 repeated
 *                                                       LeaseStatus { ID=1 int64 }
 * Ids use all 64 bits and may be negative: bigints.
 */
export interface LeaseGrantRequest {
  ttlSeconds: number
  id: bigint
}

export function decodeLeaseGrant(reader: Reader): LeaseGrantRequest {
  const grant: LeaseGrantRequest = { ttlSeconds: 0, id: 0n }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x08) grant.ttlSeconds = reader.number()
    else if (tag === 0x10) grant.id = reader.signedBigint()
    else reader.skip(tag, ['TTL', 'ID'])
  }
  return grant
}

/** Grants leave the gateway with an id and the shortest time applied. */
export function writeLeaseGrant(writer: Writer, grant: LeaseGrantRequest): void {
  writer.number(0x08, grant.ttlSeconds)
  writer.bigint(0x10, grant.id)
}

export interface LeaseRequest {
  id: bigint
  keys: boolean
}

/** Revoke, keep-alive (which have no `keys`) and time-to-live. */
export function decodeLease(reader: Reader): LeaseRequest {
  const lease: LeaseRequest = { id: 0n, keys: false }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x08) lease.id = reader.signedBigint()
    else if (tag === 0x10) lease.keys = reader.flag()
    else reader.skip(tag, ['ID', 'Keys'])
  }
  return lease
}

/** Of the three responses that begin alike, after the header. */
export function writeLeaseTimes(writer: Writer, id: bigint, ttlSeconds: number): void {
  writer.bigint(0x10, id)
  writer.number(0x18, ttlSeconds)
}

export function writeGrantedTtl(writer: Writer, ttlSeconds: number): void {
  writer.number(0x20, ttlSeconds)
}

export function writeLeaseKey(writer: Writer, key: Uint8Array): void {
  writer.element(0x2a, key, 0, key.length)
}

export function writeLeaseStatus(writer: Writer, id: bigint): void {
  const mark = writer.open(0x12)
  writer.bigint(0x08, id)
  writer.close(mark)
}
