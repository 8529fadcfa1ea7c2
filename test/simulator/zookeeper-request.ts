/** The requests of a simulated ZooKeeper client, and their bytes. */
import { encodeAcls } from '../../transport/zookeeper/acl.ts'
import { encodeRequestHeader } from '../../transport/zookeeper/headers.ts'
import type { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { encodeMultiEnd, encodeMultiHeader } from '../../transport/zookeeper/multi.ts'
import { createMode, operation, permission } from '../../transport/zookeeper/operations.ts'

export interface Request {
  readonly kind:
    | 'make'
    | 'set'
    | 'get'
    | 'append'
    | 'sync'
    /** A set and an append, both or neither. */
    | 'multi'
    /** A set and a check that fails: neither. */
    | 'failingMulti'
    | 'hold'
    | 'drop'
    /** An ephemeral znode that all clients want. */
    | 'lock'
    | 'unlock'
    | 'exists'
    | 'children'
    | 'close'
  readonly xid: number
  /** For what sets: its number, which is also what it writes. */
  readonly number: number
  readonly path: string
  readonly watch: boolean
  readonly sentMillis: number
  /** Of a sync, and of what was sent behind it: what it has to show. */
  readonly floor: ReadonlyMap<string, number>
}

export const appendRoot = '/appended'
export const ephemeralRoot = '/ephemeral'
export const lockPaths = ['/lock-0', '/lock-1'] as const
const everyone = [{ perms: permission.all, scheme: 'world', id: 'anyone' }]
/** Of no znode here. */
const wrongVersion = 1_000_000

export function encodeRequest(writer: JuteWriter, request: Request, client: number): void {
  const { kind, xid, number, path, watch } = request
  encodeRequestHeader(writer, { xid, type: operationOf[kind] })
  switch (kind) {
    case 'make':
      return encodeCreate(writer, path, createMode.persistent)
    case 'append':
      return encodeCreate(writer, prefixOf(client), createMode.persistentSequential)
    case 'hold':
    case 'lock':
      return encodeCreate(writer, path, createMode.ephemeral)
    case 'set':
      return encodeSet(writer, path, number)
    case 'drop':
    case 'unlock':
      writer.string(path)
      writer.int(-1)
      return
    case 'get':
    case 'exists':
    case 'children':
      writer.string(path)
      writer.boolean(watch)
      return
    case 'sync':
      writer.string(path)
      return
    case 'multi':
      encodeMultiHeader(writer, operation.setData)
      encodeSet(writer, path, number)
      encodeMultiHeader(writer, operation.create)
      encodeCreate(writer, prefixOf(client), createMode.persistentSequential)
      return encodeMultiEnd(writer)
    case 'failingMulti':
      encodeMultiHeader(writer, operation.setData)
      encodeSet(writer, path, number)
      encodeMultiHeader(writer, operation.check)
      writer.string(path)
      writer.int(wrongVersion)
      return encodeMultiEnd(writer)
    case 'close':
      return
  }
}

/** Where sequential znodes of a client begin. */
export function prefixOf(client: number): string {
  return `${appendRoot}/${client}-`
}

const operationOf: Record<Request['kind'], number> = {
  make: operation.create,
  set: operation.setData,
  get: operation.getData,
  append: operation.create,
  sync: operation.sync,
  multi: operation.multi,
  failingMulti: operation.multi,
  hold: operation.create,
  drop: operation.delete,
  lock: operation.create,
  unlock: operation.delete,
  exists: operation.exists,
  children: operation.getChildren2,
  close: operation.closeSession,
}

function encodeCreate(writer: JuteWriter, path: string, mode: number): void {
  writer.string(path)
  writer.buffer(Buffer.from('0'))
  encodeAcls(writer, everyone)
  writer.int(mode)
}

function encodeSet(writer: JuteWriter, path: string, number: number): void {
  writer.string(path)
  writer.buffer(Buffer.from(String(number)))
  writer.int(-1)
}
