/** Watches: what is told, once, in which order, and what setWatches catches up on. */
import type { Scenario, Step } from './scenario.ts'
import {
  children,
  children2,
  close,
  create,
  each,
  exists,
  get,
  multi,
  open,
  remove,
  send,
  set,
  setAcl,
} from './steps.ts'
import { type Acl, op, openAcl, setWatches } from './wire.ts'

const changes = [
  create('/w/a'),
  set('/w/a'),
  setAcl('/w/a', openAcl),
  create('/w/a/b'),
  set('/w/a/b'),
  remove('/w/a/b'),
  remove('/w/a'),
  create('/w/a', 1),
  remove('/w/a'),
]

/** Every kind of watch on every path, set anew before each change. */
const everyWatch = ['/w', '/w/a', '/w/a/b'].flatMap(path => [
  exists(path, true),
  get(path, true),
  children(path, true),
  children2(path, true),
])

const paths = ['/c/none', '/c/old', '/c/changed', '/c/gone', '/c/again', '/c/parent', '/c/acl']
const catchUp = (mark: string) => (marks: ReadonlyMap<string, bigint>) => ({
  type: op.setWatches,
  body: setWatches(marks.get(mark) ?? 0n, paths, paths, paths),
  xid: -8,
})
const after: Step[] = [
  send('b', set('/c/old'), set('/c/changed'), create('/c/none'), create('/c/gone')),
  send('b', create('/c/parent/2'), remove('/c/again'), set('/c/acl'), remove('/c/old')),
]

export const watchCases: readonly Scenario[] = [
  {
    name: 'every watch before every change, by another',
    steps: [
      open('a'),
      open('b'),
      send('b', create('/w')),
      ...changes.flatMap(change => [send('a', ...everyWatch), send('b', change)]),
    ],
  },
  {
    name: 'every watch before every change, in one pipeline of its own',
    steps: [
      open('a'),
      send('a', create('/w1')),
      send('a', ...changes.flatMap(change => [...everyWatch, change])),
    ],
  },
  {
    name: 'once only, and one for many registrations',
    steps: [
      open('a'),
      open('b'),
      send('a', create('/once')),
      send(
        'a',
        get('/once', true),
        get('/once', true),
        exists('/once', true),
        children('/once', true),
      ),
      send(
        'b',
        set('/once'),
        set('/once'),
        create('/once/1'),
        create('/once/2'),
        remove('/once/1'),
      ),
    ],
  },
  {
    name: 'multi tells each of its parts',
    steps: [
      open('a'),
      open('b'),
      send('b', create('/mw'), create('/mw/x')),
      send('a', children('/mw', true), get('/mw', true), get('/mw/x', true), exists('/mw/y', true)),
      send('b', multi(create('/mw/y'), set('/mw'), remove('/mw/x'), set('/mw/y'), remove('/mw/y'))),
      send('a', children('/mw', true), exists('/mw/y', true)),
      send('b', multi(create('/mw/y'), create('/mw/y'))),
      send('b', create('/mw/y')),
    ],
  },
  {
    name: 'watches of what is not there',
    steps: [
      open('a'),
      open('b'),
      send(
        'a',
        get('/nw', true),
        children('/nw', true),
        exists('/nw', true),
        exists('/nw/x', true),
      ),
      send('b', create('/nw'), create('/nw/x'), remove('/nw/x'), remove('/nw')),
    ],
  },
  {
    name: 'watches at paths that are not valid',
    steps: [
      open('a'),
      open('b'),
      send(
        'a',
        exists('/v/', true),
        exists('v', true),
        exists('', true),
        get('', true),
        children('', true),
      ),
      ...each('b', set('/', 'x'), create('/v'), create('/v/w'), remove('/v/w'), remove('/v')),
    ],
  },
  {
    name: 'watches of the root',
    steps: [
      open('a'),
      open('b'),
      send('a', get('/', true), exists('/', true), children('/', true)),
      ...each('b', set('/', 'y'), create('/r'), remove('/r')),
    ],
  },
  {
    name: 'watches go with their connection',
    steps: [
      open('a'),
      open('b'),
      send('b', create('/gone')),
      send('a', get('/gone', true)),
      open('c', { resume: 'a' }),
      send('b', set('/gone')),
      send('c', get('/gone', true)),
      send('b', set('/gone')),
    ],
  },
  {
    name: 'ephemerals that end are told like others',
    steps: [
      open('a'),
      open('b'),
      send('b', create('/ew')),
      send('a', create('/ew/1', 1)),
      send('b', get('/ew/1', true), children('/ew', true)),
      send('a', close),
    ],
  },
  {
    name: 'catching up',
    steps: [
      open('a'),
      open('b'),
      send('b', create('/c'), ...paths.slice(1).map(path => create(path))),
      send('b', create('/c/parent/1')),
      send('a', exists('/')),
      { kind: 'mark', connection: 'b', name: 'before' },
      send('b', set('/c/changed'), remove('/c/gone'), remove('/c/again'), create('/c/again')),
      send('b', create('/c/parent/x'), setAcl('/c/acl', openAcl)),
      { kind: 'mark', connection: 'b', name: 'now' },
      send('a', catchUp('before')),
      ...after,
      { kind: 'mark', connection: 'b', name: 'later' },
      open('d', { resume: 'a' }),
      send('d', catchUp('now'), exists('/c')),
      send('b', create('/c/old'), set('/c/none')),
      open('e', { resume: 'd' }),
      send('e', catchUp('later')),
      send('b', set('/c/old'), set('/c/none'), remove('/c/none'), create('/c/none')),
    ],
  },
  {
    name: 'catching up with odd lists',
    steps: [
      open('a'),
      open('b'),
      send('a', {
        type: op.setWatches,
        body: setWatches(1n << 60n, ['/odd', '/odd'], ['/odd'], ['/odd']),
        xid: 9,
      }),
      send('a', {
        type: op.setWatches,
        body: setWatches(1n << 60n, ['', 'x', '/y/'], ['', 'x', '/y/'], ['', 'x', '/y/']),
        xid: 9,
      }),
      ...each('b', create('/odd'), set('/odd'), remove('/odd'), set('/', 'q')),
    ],
  },
  {
    name: 'catching up with null for lists',
    known: 'null is as good as empty here; ZooKeeper fails on it with -5',
    steps: [
      open('a'),
      send('a', { type: op.setWatches, body: setWatches(0n, null, null, null), xid: -8 }),
    ],
  },
  {
    name: 'catching up on what may not be read',
    known: 'ZooKeeper tells of it although live events would be withheld; here both are withheld',
    steps: [
      open('a'),
      send(
        'a',
        create('/dark'),
        setAcl('/dark', [{ perms: 30, scheme: 'world', id: 'anyone' } satisfies Acl]),
      ),
      send('a', {
        type: op.setWatches,
        body: setWatches(0n, ['/dark'], ['/dark'], ['/dark']),
        xid: -8,
      }),
    ],
  },
]
