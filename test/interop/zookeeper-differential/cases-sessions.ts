/** Handshakes, and sessions that come back, move and end. */
import type { Scenario } from './scenario.ts'
import { children, close, create, each, exists, get, open, send, set } from './steps.ts'
import { connectRequest, frame } from './wire.ts'

const dial = { kind: 'dial', connection: 'x' } as const
const raw = (bytes: Buffer, quietMillis = 500) =>
  ({ kind: 'raw', connection: 'x', bytes, quietMillis }) as const

export const handshakeCases: readonly Scenario[] = [
  {
    name: 'time-outs and the readOnly byte',
    steps: [
      open('a', { timeoutMillis: 1 }),
      open('b', { timeoutMillis: 1_000_000 }),
      open('c', { timeoutMillis: -1 }),
      open('d', { timeoutMillis: 0 }),
      open('e', { readOnly: undefined }),
      open('f', { readOnly: true }),
    ],
  },
  {
    name: 'new sessions with odd fields',
    steps: [
      open('a', { seen: 'ahead' }),
      open('b', { password: 'wrong' }),
      open('c', { password: 'short' }),
      open('d', { password: 'null' }),
    ],
  },
  {
    name: 'sessions that never were',
    steps: [
      open('a', { session: 77n }),
      open('b', { session: -77n }),
      open('c', { session: 77n, password: 'null' }),
      open('d', { session: 77n, readOnly: undefined }),
    ],
  },
  {
    name: 'coming back',
    steps: [
      open('a', { timeoutMillis: 5_000 }),
      send('a', create('/back', 1)),
      { kind: 'drop', connection: 'a' },
      open('b', { resume: 'a', timeoutMillis: 20_000 }),
      send('b', get('/back'), create('/back/child')),
      open('c', { resume: 'b', readOnly: undefined }),
      { kind: 'drop', connection: 'c' },
      open('d', { resume: 'c', password: 'short' }),
      open('e', { resume: 'c', password: 'null' }),
      open('f', { resume: 'c', seen: 'ahead' }),
      open('g', { resume: 'c', seen: 'none' }),
      send('g', close),
      open('h', { resume: 'g' }),
    ],
  },
  {
    name: 'a wrong password while the session is connected',
    known: 'ZooKeeper closes the connection of the session before it looks at the password',
    steps: [open('a'), open('b', { resume: 'a', password: 'wrong' }), send('a', exists('/'))],
  },
  {
    name: 'closing with ephemerals and watches',
    steps: [
      open('a'),
      open('b'),
      ...each('a', create('/end'), create('/end/e1', 1), create('/end/e2', 3), create('/end/p')),
      send(
        'b',
        get('/end/e1', true),
        exists('/end/e1', true),
        children('/end', true),
        children('/end/e1', true),
      ),
      send('a', children('/end', true), get('/end/e1', true), set('/end/p'), close),
      send('b', children('/end'), get('/end')),
    ],
  },
  {
    name: 'expiry',
    steps: [
      open('a', { timeoutMillis: 4_000 }),
      open('b', { timeoutMillis: 40_000 }),
      send('a', create('/mortal', 1)),
      send('b', exists('/mortal', true), children('/', true)),
      { kind: 'drop', connection: 'a' },
      { kind: 'wait', millis: 7_500 },
      send('b', exists('/mortal')),
      open('c', { resume: 'a' }),
    ],
  },
  {
    name: 'connect requests that are none',
    steps: [
      dial,
      raw(frame(Buffer.alloc(0))),
      dial,
      raw(frame(Buffer.alloc(10))),
      dial,
      raw(frame(connectRequest({}).subarray(0, 43))),
    ],
  },
  {
    name: 'connect requests with more behind them',
    steps: [
      dial,
      raw(frame(Buffer.concat([connectRequest({ readOnly: false }), Buffer.alloc(9)]))),
    ],
  },
  {
    name: 'words',
    steps: ['ruok', 'isro', 'srvr', 'stat', 'conf', 'wchs', 'abcd', 'ruok\n'].flatMap(word => [
      dial,
      raw(Buffer.from(word)),
    ]),
  },
  {
    name: 'the word mntr',
    known: "its lines are a subset of ZooKeeper's",
    steps: [dial, raw(Buffer.from('mntr'))],
  },
  {
    name: 'a session moves',
    steps: [
      open('a@0'),
      send('a@0', create('/moved', 1), get('/moved', true)),
      open('b@1', { resume: 'a@0' }),
      send('a@0', set('/moved')),
      send('b@1', get('/moved'), set('/moved')),
      open('c@2', { resume: 'b@1' }),
      send('c@2', set('/moved'), get('/moved'), close),
    ],
  },
]
