import { expect, test } from 'vitest'
import { createGuard, type RequestHead } from '../../../transport/admin/admin-guard.ts'

const token = 'a token of some length'.replaceAll(' ', '-')

function head(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'POST',
    host: '127.0.0.1:7201',
    origin: undefined,
    contentType: 'application/json; charset=utf-8',
    authorization: undefined,
    isLocal: false,
    ...changes,
  }
}

const onLoopback = createGuard({ hosts: ['Node1.example'], tokens: [], isLoopback: true })
const withToken = createGuard({
  hosts: [],
  tokens: ['another-token-of-length', token],
  isLoopback: false,
})
const elsewhere = createGuard({ hosts: ['node1.example'], tokens: [], isLoopback: false })

test('commands of the machine change, and scrapers read', () => {
  expect(onLoopback(head())).toBeUndefined()
  expect(onLoopback(head({ method: 'GET', contentType: undefined }))).toBeUndefined()
  for (const host of ['localhost:7201', '[::1]:7201', '10.1.2.3', 'node1.EXAMPLE:7201', undefined])
    expect([host, onLoopback(head({ host }))]).toEqual([host, undefined])
})

test.each([
  ['a form', 'application/x-www-form-urlencoded'],
  ['plain text', 'text/plain'],
  ['JSON by another name', 'text/plain; application/json'],
  ['nothing', undefined],
])('a page that posts %s changes nothing', (_name, contentType) => {
  expect(onLoopback(head({ contentType }))?.status).toBe(415)
  expect(onLoopback(head({ contentType, isLocal: true }))?.status).toBe(415)
})

test('a page of another origin changes nothing, nor does one of none', () => {
  for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:8080', 'nonsense'])
    expect([origin, onLoopback(head({ origin }))?.status]).toEqual([origin, 403])
  expect(onLoopback(head({ origin: 'http://127.0.0.1:7201' }))).toBeUndefined()
})

test('a name that somebody pointed here reads nothing either', () => {
  for (const method of ['GET', 'POST']) {
    for (const host of [
      'evil.example:7201',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '',
    ]) {
      expect([host, onLoopback(head({ method, host }))]).toEqual([
        host,
        {
          status: 403,
          error: `"${host.replace(':7201', '')}" is no name of this node: add it to listeners.admin.hosts`,
        },
      ])
    }
  }
})

test('where there is a token, changes need it and reads do not', () => {
  expect(withToken(head())?.status).toBe(401)
  expect(withToken(head({ method: 'GET' }))).toBeUndefined()
  expect(withToken(head({ authorization: `Bearer ${token}` }))).toBeUndefined()
  expect(withToken(head({ authorization: 'Bearer another-token-of-length' }))).toBeUndefined()
  // Who knows it is no page, whatever name it was asked by.
  expect(withToken(head({ authorization: `bearer ${token}`, host: 'any.name' }))).toBeUndefined()
  for (const wrong of ['Bearer wrong', `Bearer ${token}x`])
    expect(withToken(head({ method: 'GET', authorization: wrong }))?.status).toBe(401)
  expect(withToken(head({ authorization: `Basic ${token}` }))?.status).toBe(401)
})

test('beyond loopback nothing is changed without a token, except through the socket', () => {
  expect(elsewhere(head())).toEqual({
    status: 403,
    error:
      'changes through an admin port that is not on loopback need listeners.admin.token or tokenFile; ' +
      'or use listeners.admin.socket on the machine of the node',
  })
  expect(elsewhere(head({ method: 'GET' }))).toBeUndefined()
  expect(elsewhere(head({ isLocal: true, host: 'whatever' }))).toBeUndefined()
  expect(withToken(head({ isLocal: true }))).toBeUndefined()
})
