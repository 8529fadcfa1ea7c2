/** Access lists and identities. */
import type { Scenario, Step } from './scenario.ts'
import {
  auth,
  check,
  children,
  close,
  create,
  each,
  exists,
  get,
  getAcl,
  multi,
  open,
  remove,
  send,
  set,
  setAcl,
} from './steps.ts'
import { type Acl, openAcl } from './wire.ts'

const u1 = 'u1:fpT/y03U+EjItKZOSLGvjnJlyng='
const u2 = 'u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE='
const acl = (perms: number, scheme: string | null, id: string | null): Acl => ({
  perms,
  scheme,
  id,
})

const lists: readonly (readonly Acl[] | null)[] = [
  null,
  [],
  ...[
    acl(31, 'world', 'anyone'),
    acl(31, 'world', ''),
    acl(31, 'world', 'Anyone'),
    acl(31, 'auth', ''),
    acl(31, 'auth', 'x:y'),
    acl(31, 'digest', ''),
    acl(31, 'digest', 'u'),
    acl(31, 'digest', ':'),
    acl(31, 'digest', 'u:'),
    acl(31, 'digest', ':u'),
    acl(31, 'digest', 'a:b'),
    acl(31, 'digest', 'a:b:'),
    acl(31, 'digest', 'a:b:c'),
    acl(31, 'ip', '127.0.0.1'),
    acl(31, 'ip', '127.0.0.1/8'),
    acl(31, 'ip', '127.0.0.1/0'),
    acl(31, 'ip', '127.0.0.1/32'),
    acl(31, 'ip', '127.0.0.1/33'),
    acl(31, 'ip', '127.0.0.1/-1'),
    acl(31, 'ip', '127.0.0.1/x'),
    acl(31, 'ip', '127.0.0.1/8/8'),
    acl(31, 'ip', '127.0.0.1/'),
    acl(31, 'ip', '127.0.0'),
    acl(31, 'ip', '256.0.0.1'),
    acl(31, 'ip', '01.0.0.1'),
    acl(31, 'ip', '::1'),
    acl(31, 'ip', '::1/64'),
    acl(31, 'ip', 'fe80::1/129'),
    acl(31, 'ip', 'localhost'),
    acl(31, 'ip', ''),
    acl(31, 'super', 'x'),
    acl(31, 'x509', 'CN=x'),
    acl(31, 'sasl', 'x'),
    acl(31, '', ''),
    acl(31, null, ''),
    acl(0, 'world', 'anyone'),
    acl(-1, 'world', 'anyone'),
    acl(255, 'world', 'anyone'),
  ].map(one => [one]),
  [acl(1, 'world', 'anyone'), acl(1, 'world', 'anyone'), acl(2, 'world', 'anyone')],
  [acl(31, 'auth', ''), acl(1, 'auth', ''), acl(1, 'world', 'anyone')],
  [acl(31, 'world', 'anyone'), acl(31, 'nobody', '')],
]

const nullIds = ['world', 'digest', 'ip', 'auth', 'nobody'].map(scheme => [acl(31, scheme, null)])

const listSteps = (prefix: string, all: readonly (readonly Acl[] | null)[]): Step[] =>
  all.flatMap((list, at) => {
    const path = `/${prefix}${at}`
    return [
      send('a', create(path, 0, list), getAcl(path), get(path)),
      send('a', create(`${path}x`), setAcl(`${path}x`, list), getAcl(`${path}x`)),
      send('a', multi(create(`${path}y`, 0, list)), remove(`${path}y`)),
    ]
  })

const matrix = [1, 2, 4, 8, 16].flatMap((perms): Step[] => {
  const path = `/perm${perms}`
  return [
    send('a', create(path), create(`${path}/c`), create(`${path}/d`)),
    send('a', setAcl(path, [acl(perms, 'digest', u1), acl(perms ^ 31, 'digest', u2)])),
    ...['b', 'c', 'd'].map(connection =>
      send(
        connection,
        get(path, true),
        exists(path, true),
        children(path, true),
        getAcl(path),
        set(path),
        create(`${path}/${connection}`),
        remove(`${path}/none`),
        remove(`${path}/c`, 5),
        multi(check(path)),
        multi(set(path), create(`${path}/m`)),
        setAcl(path, openAcl, 77),
      ),
    ),
  ]
})

export const accessCases: readonly Scenario[] = [
  { name: 'lists as they are set', steps: [open(), ...listSteps('l', lists)] },
  {
    name: 'lists as they are set, with identities',
    steps: [
      open(),
      send('a', auth('digest', 'u1:p1')),
      send('a', auth('digest', 'u2:p2')),
      ...listSteps('i', lists),
    ],
  },
  {
    name: 'lists with null for an id',
    known:
      'null reads as empty here, so the list is refused with -114; ZooKeeper fails on it with -5',
    steps: [open(), ...listSteps('nullid', nullIds)],
  },
  {
    name: 'every permission for every operation',
    steps: [
      open('a'),
      open('b'),
      open('c'),
      open('d'),
      send('b', auth('digest', 'u1:p1')),
      send('c', auth('digest', 'u2:p2')),
      ...matrix,
    ],
  },
  {
    name: 'auth packets',
    steps: [
      open(),
      ...each(
        'a',
        auth('digest', 'u1:p1', 5),
        auth('digest', 'u1:p1'),
        auth('digest', 'nocolon'),
        auth('digest', ':'),
        auth('digest', 'a:b:c'),
        auth('digest', ''),
        auth('ip', '9.9.9.9'),
        auth('ip', ''),
        create('/auths', 0, [acl(31, 'auth', '')]),
        getAcl('/auths'),
      ),
      ...['world', 'auth', 'super', 'sasl', 'x509', 'Digest', '', 'nosuch'].flatMap(scheme => [
        open('b'),
        send('b', auth(scheme, 'x')),
      ]),
    ],
  },
  {
    name: 'passwords that are not UTF-8',
    steps: ['ff', 'eda080', 'edbfff', 'f09f98', 'efbbbf61', 'c0af'].flatMap((hex, index) => [
      open('a'),
      ...each(
        'a',
        auth('digest', Buffer.concat([Buffer.from('u:'), Buffer.from(hex, 'hex')])),
        create(`/not-utf-8-${index}`, 0, [acl(31, 'auth', '')]),
        getAcl(`/not-utf-8-${index}`),
      ),
    ]),
  },
  {
    name: 'auth packets with null in them',
    known: 'ZooKeeper fails on null; here it is as good as empty',
    steps: [open('a'), send('a', auth('digest', null)), open('b'), send('b', auth(null, 'x'))],
  },
  {
    name: 'auth amid a pipeline',
    known: 'ZooKeeper answers auth packets ahead of what is still under way; here all is in order',
    steps: [
      open(),
      send(
        'a',
        create('/amid', 0, openAcl),
        auth('digest', 'u1:p1'),
        get('/amid'),
        auth('digest', 'u2:p2'),
      ),
    ],
  },
  {
    name: 'hashes are masked for who may not administer',
    steps: [
      open('a'),
      open('b'),
      send('a', auth('digest', 'u1:p1')),
      send(
        'a',
        create('/masked', 0, [
          acl(31, 'digest', u1),
          acl(1, 'world', 'anyone'),
          acl(16, 'ip', '1.2.3.4'),
        ]),
      ),
      send('a', getAcl('/masked')),
      send('b', getAcl('/masked'), get('/masked')),
    ],
  },
  {
    name: 'events are for readers only',
    steps: [
      open('a'),
      open('b'),
      open('c'),
      send('c', auth('digest', 'u1:p1')),
      send('a', create('/hid'), create('/hid/x')),
      ...['b', 'c'].map(connection =>
        send(
          connection,
          get('/hid', true),
          children('/hid', true),
          get('/hid/x', true),
          exists('/hid/new', true),
        ),
      ),
      send('a', setAcl('/hid', [acl(30, 'world', 'anyone'), acl(1, 'digest', u1)])),
      send('a', set('/hid'), create('/hid/new', 0, [acl(31, 'digest', u1)]), remove('/hid/x')),
      send('a', setAcl('/hid', openAcl), set('/hid'), remove('/hid/new')),
    ],
  },
  {
    name: 'an identity is gone with its connection',
    steps: [
      open('a'),
      send('a', auth('digest', 'u1:p1')),
      send('a', create('/own', 0, [acl(31, 'auth', '')])),
      open('b', { resume: 'a' }),
      send('b', get('/own'), set('/own')),
      send('b', auth('digest', 'u1:p1')),
      send('b', get('/own'), close),
    ],
  },
]
