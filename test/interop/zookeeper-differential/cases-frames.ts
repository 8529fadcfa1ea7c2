/** Frames and requests that are not what they should be. */
import type { Scenario, Step } from './scenario.ts'
import { create, each, exists, get, multi, open, remove, send, set, sync } from './steps.ts'
import * as wire from './wire.ts'
import { frame, int, op } from './wire.ts'

const raw = (bytes: Buffer, quietMillis = 500): Step => ({
  kind: 'raw',
  connection: 'a',
  bytes,
  quietMillis,
})
const request = (type: number, body: Buffer = Buffer.alloc(0)) => ({ type, body })
/** What the largest frame leaves for the data of a set. */
const dataBytesMax = 1_048_575 - 8 - 4 - '/large'.length - 4 - 4

export const frameCases: readonly Scenario[] = [
  ...[-1, -2_147_483_648, 1_048_576, 2_147_483_647].map(length => ({
    name: `a frame of ${length} bytes`,
    steps: [open(), raw(int(length))],
  })),
  { name: 'an empty frame', steps: [open(), raw(int(0))] },
  { name: 'a frame shorter than a header', steps: [open(), raw(frame(Buffer.alloc(7)))] },
  {
    name: 'the largest frame, and one byte more',
    steps: [
      open(),
      send('a', create('/large')),
      send('a', set('/large', 'v'.repeat(dataBytesMax))),
      send('a', get('/large')),
      send('a', set('/large', 'v'.repeat(dataBytesMax + 1))),
      open('b', { resume: 'a' }),
      send('b', get('/large'), remove('/large')),
    ],
  },
  ...[0, 10, 13, 23, 99, 108, 200, -2].map(type => ({
    name: `operation ${type}`,
    steps: [open(), send('a', exists('/')), send('a', request(type, wire.versioned('/', -1)))],
  })),
  {
    name: 'operations of servers among themselves',
    known: 'deleteContainer and createSession: ZooKeeper carries them out for clients too',
    steps: [
      open('a'),
      send('a', request(20, wire.versioned('/', -1)), exists('/')),
      open('b'),
      send('b', request(-10, wire.versioned('/', -1)), exists('/')),
    ],
  },
  {
    name: 'operations that come later',
    known: 'they are Unimplemented so far, and the connection stays',
    steps: [
      open(),
      ...each(
        'a',
        request(17, wire.versioned('/', 3)),
        request(18, wire.versioned('/', 3)),
        request(19, wire.create('/container', '', wire.openAcl, 4)),
        request(22, wire.multi([get('/')])),
        request(103, wire.text('/')),
        request(104, wire.text('/')),
        request(106, wire.versioned('/', 0)),
        request(107),
      ),
      send('a', exists('/')),
    ],
  },
  {
    name: 'TTL without the setting for it, and reconfiguration',
    steps: [
      open(),
      send(
        'a',
        request(21, Buffer.concat([wire.create('/ttl', '', wire.openAcl, 5), wire.long(5_000n)])),
        exists('/'),
        create('/ttl', 5),
        create('/ttl', 6),
        exists('/'),
      ),
    ],
  },
  {
    name: 'a container by the ordinary create',
    known: 'containers come later',
    steps: [open(), send('a', create('/container', 4), multi(create('/container2', 4)))],
  },
  {
    name: 'requests without a body',
    steps: [
      open(),
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 101].map(type => send('a', request(type))),
      send('a', exists('/')),
    ],
  },
  {
    name: 'auth without a body',
    steps: [open(), send('a', request(op.auth))],
  },
  {
    name: 'requests with null for a path',
    steps: [
      open(),
      ...each(
        'a',
        create(null),
        remove(null),
        exists(null),
        get(null),
        set(null),
        sync(null),
        request(op.getAcl, wire.text(null)),
        request(op.setAcl, wire.setAcl(null, wire.openAcl)),
        request(op.getChildren, wire.watched(null)),
        request(op.getChildren2, wire.watched(null)),
        multi(request(op.check, wire.versioned(null))),
        multi(create(null)),
        multi(remove(null)),
        multi(set(null)),
      ),
    ],
  },
  {
    name: 'lengths that are negative',
    steps: [
      open(),
      ...[-2, -2_147_483_648].flatMap(length =>
        each(
          'a',
          request(op.getData, Buffer.concat([int(length), Buffer.alloc(1)])),
          request(
            op.create,
            Buffer.concat([wire.text('/n'), int(length), wire.acls(wire.openAcl), int(0)]),
          ),
          request(op.create, Buffer.concat([wire.text('/n'), wire.text(''), int(length), int(0)])),
          request(op.setData, Buffer.concat([wire.text('/'), int(length), int(-1)])),
          request(
            op.setWatches,
            Buffer.concat([wire.long(0n), int(length), int(length), int(length)]),
          ),
        ),
      ),
      send('a', exists('/n')),
    ],
  },
  {
    name: 'lengths beyond the end',
    steps: [
      open(),
      ...each(
        'a',
        request(op.getData, Buffer.concat([int(100), Buffer.from('/a'), Buffer.alloc(1)])),
        request(op.create, Buffer.concat([wire.text('/n'), int(1 << 30)])),
        request(op.create, Buffer.concat([wire.text('/n'), wire.text(''), int(1 << 30), int(0)])),
        request(op.setWatches, Buffer.concat([wire.long(0n), int(1 << 30)])),
        request(op.multi, Buffer.concat([int(1), Buffer.from([0])])),
        request(op.multi, Buffer.concat([int(-1), Buffer.from([1])])),
      ),
    ],
  },
  {
    name: 'xids of all sorts are echoed',
    steps: [
      open(),
      send(
        'a',
        { ...exists('/'), xid: 0 },
        { ...exists('/'), xid: 2_147_483_647 },
        { ...exists('/'), xid: -2_147_483_648 },
        { ...create('/xid'), xid: -8 },
        { ...get('/xid'), xid: -4 },
        { ...remove('/xid'), xid: -7 },
        { ...multi(), xid: -7 },
      ),
    ],
  },
]
