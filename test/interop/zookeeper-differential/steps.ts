/** Short words for the steps of a case. */
import type { Request } from './session.ts'
import type { Made, Step } from './scenario.ts'
import * as wire from './wire.ts'
import { type Acl, op } from './wire.ts'

type Path = string | Uint8Array | null

export const open = (
  connection = 'a',
  more: Partial<Extract<Step, { kind: 'open' }>> = {},
): Step => ({
  kind: 'open',
  connection,
  ...more,
})

export const send = (connection: string, ...requests: readonly Made<Request>[]): Step => ({
  kind: 'send',
  connection,
  requests,
})

/** One step each. */
export const each = (connection: string, ...requests: readonly Made<Request>[]): Step[] =>
  requests.map(request => send(connection, request))

export const create = (
  path: Path,
  flags = 0,
  acl?: readonly Acl[] | null,
  data: string | null = 'x',
) => ({
  type: op.create,
  body: wire.create(path, data, acl, flags),
})

export const create2 = (path: Path, flags = 0) => ({
  type: op.create2,
  body: wire.create(path, 'y', wire.openAcl, flags),
})

export const remove = (path: Path, version = -1) => ({
  type: op.delete,
  body: wire.versioned(path, version),
})

export const set = (path: Path, data: string | null = 's', version = -1) => ({
  type: op.setData,
  body: wire.set(path, data, version),
})

export const setAcl = (path: Path, acl: readonly Acl[] | null, version = -1) => ({
  type: op.setAcl,
  body: wire.setAcl(path, acl, version),
})

export const check = (path: Path, version = -1) => ({
  type: op.check,
  body: wire.versioned(path, version),
})

export const get = (path: Path, watch = false) => ({
  type: op.getData,
  body: wire.watched(path, watch),
})
export const exists = (path: Path, watch = false) => ({
  type: op.exists,
  body: wire.watched(path, watch),
})
export const children = (path: Path, watch = false) => ({
  type: op.getChildren,
  body: wire.watched(path, watch),
})
export const children2 = (path: Path, watch = false) => ({
  type: op.getChildren2,
  body: wire.watched(path, watch),
})
export const getAcl = (path: Path) => ({ type: op.getAcl, body: wire.text(path) })
export const sync = (path: Path) => ({ type: op.sync, body: wire.text(path) })
export const ping = { type: op.ping, body: Buffer.alloc(0), xid: -2 }
export const close = { type: op.closeSession, body: Buffer.alloc(0) }
export const multi = (...operations: readonly { type: number; body: Buffer }[]) => ({
  type: op.multi,
  body: wire.multi(operations),
})
export const auth = (scheme: string | null, secret: string | Uint8Array | null, xid = -4) => ({
  type: op.auth,
  body: wire.auth(scheme, secret),
  xid,
})
