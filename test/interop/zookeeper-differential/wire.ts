/**
 * ZooKeeper's protocol as bytes, written from its description and not from the server's codecs, so
 * that it can send what no codec would, and disagree.
 */
export function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

export function long(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt.asIntN(64, value))
  return bytes
}

export function bool(value: boolean): Buffer {
  return Buffer.from([value ? 1 : 0])
}

/** A buffer or string; null has length -1. */
export function text(value: string | Uint8Array | null): Buffer {
  if (value === null) return int(-1)
  const bytes = Buffer.from(value as string)
  return Buffer.concat([int(bytes.length), bytes])
}

export function vector(items: readonly Buffer[] | null): Buffer {
  return items === null ? int(-1) : Buffer.concat([int(items.length), ...items])
}

export interface Acl {
  readonly perms: number
  readonly scheme: string | null
  readonly id: string | null
}

export function acls(list: readonly Acl[] | null): Buffer {
  return vector(
    list?.map(({ perms, scheme, id }) => Buffer.concat([int(perms), text(scheme), text(id)])) ??
      null,
  )
}

export function frame(body: Buffer): Buffer {
  return Buffer.concat([int(body.length), body])
}

export const openAcl: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]

export { operation as op } from '../../../transport/zookeeper/operations.ts'

type Path = string | Uint8Array | null

export function create(
  path: Path,
  data: string | Uint8Array | null = '',
  acl: readonly Acl[] | null = openAcl,
  flags = 0,
): Buffer {
  return Buffer.concat([text(path), text(data), acls(acl), int(flags)])
}

export function versioned(path: Path, version = -1): Buffer {
  return Buffer.concat([text(path), int(version)])
}

export function watched(path: Path, watch = false): Buffer {
  return Buffer.concat([text(path), bool(watch)])
}

export function set(path: Path, data: string | Uint8Array | null, version = -1): Buffer {
  return Buffer.concat([text(path), text(data), int(version)])
}

export function setAcl(path: Path, acl: readonly Acl[] | null, version = -1): Buffer {
  return Buffer.concat([text(path), acls(acl), int(version)])
}

export function auth(scheme: string | null, secret: string | Uint8Array | null): Buffer {
  return Buffer.concat([int(0), text(scheme), text(secret)])
}

export function multi(operations: readonly { type: number; body: Buffer }[]): Buffer {
  const header = (type: number, done: boolean): Buffer =>
    Buffer.concat([int(type), bool(done), int(-1)])
  return Buffer.concat([
    ...operations.flatMap(({ type, body }) => [header(type, false), body]),
    header(-1, true),
  ])
}

export function setWatches(
  since: bigint,
  data: readonly string[] | null,
  exist: readonly string[] | null,
  child: readonly string[] | null,
): Buffer {
  const list = (paths: readonly string[] | null) => vector(paths?.map(path => text(path)) ?? null)
  return Buffer.concat([long(since), list(data), list(exist), list(child)])
}

export function connectRequest(options: {
  readonly lastZxidSeen?: bigint
  readonly timeoutMillis?: number
  readonly session?: bigint
  readonly password?: Uint8Array | null
  readonly readOnly?: boolean | undefined
}): Buffer {
  const { password = Buffer.alloc(16) } = options
  return Buffer.concat([
    int(0),
    long(options.lastZxidSeen ?? 0n),
    int(options.timeoutMillis ?? 10_000),
    long(options.session ?? 0n),
    text(password),
    options.readOnly === undefined ? Buffer.alloc(0) : bool(options.readOnly),
  ])
}
