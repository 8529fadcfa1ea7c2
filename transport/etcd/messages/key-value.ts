import { varintBytes, type Writer, halvesBytes } from './writer.ts'

/*
 * mvccpb.KeyValue: key=1 bytes; create_revision=2 int64; mod_revision=3 int64; version=4 int64;
 *                  value=5 bytes; lease=6 int64
 * Written straight from where a store keeps it, in one pass: its size is known before.
 */

/** What is needed of storage/keyspace.ts to encode one version of one key. */
export interface Versions {
  deleted(pointer: number): boolean
  createRevision(pointer: number): number
  modRevision(pointer: number): number
  version(pointer: number): number
  leaseHigh(pointer: number): number
  leaseLow(pointer: number): number
  bytes(pointer: number): Uint8Array
  keyOffset(pointer: number): number
  keyLength(pointer: number): number
  valueOffset(pointer: number): number
  valueLength(pointer: number): number
}

export function writeKeyValue(
  writer: Writer,
  tag: number,
  versions: Versions,
  pointer: number,
  keysOnly = false,
): void {
  writer.message(tag, keyValueBytes(versions, pointer, keysOnly))
  writeKeyValueFields(writer, versions, pointer, keysOnly)
}

/** Without tag and length. Of a tombstone only key and mod_revision exist. */
export function writeKeyValueFields(
  writer: Writer,
  versions: Versions,
  pointer: number,
  keysOnly = false,
): void {
  const bytes = versions.bytes(pointer)
  writer.field(0x0a, bytes, versions.keyOffset(pointer), versions.keyLength(pointer))
  writer.number(0x10, versions.createRevision(pointer))
  writer.number(0x18, versions.modRevision(pointer))
  writer.number(0x20, versions.version(pointer))
  if (!keysOnly) {
    writer.field(0x2a, bytes, versions.valueOffset(pointer), versions.valueLength(pointer))
  }
  writer.halves(0x30, versions.leaseHigh(pointer), versions.leaseLow(pointer))
}

export function keyValueBytes(versions: Versions, pointer: number, keysOnly = false): number {
  return (
    lengthBytes(versions.keyLength(pointer)) +
    numberBytes(versions.createRevision(pointer)) +
    numberBytes(versions.modRevision(pointer)) +
    numberBytes(versions.version(pointer)) +
    (keysOnly ? 0 : lengthBytes(versions.valueLength(pointer))) +
    leaseBytes(versions.leaseHigh(pointer), versions.leaseLow(pointer))
  )
}

function lengthBytes(length: number): number {
  return length === 0 ? 0 : 1 + varintBytes(length) + length
}

function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value)
}

function leaseBytes(high: number, low: number): number {
  return high === 0 && low === 0 ? 0 : 1 + halvesBytes(high, low)
}
