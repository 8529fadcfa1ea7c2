// A round of what the etcd door offers, with the npm client: etcd3_round.mjs HOST:PORT
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

if (process.argv.includes('--help')) {
  console.log(
    'A round of what the etcd door offers, with the npm client: etcd3_round.mjs HOST:PORT',
  )
  process.exit(0)
}

const { Etcd3 } = createRequire(new URL('./.cache/npm/package.json', import.meta.url))('etcd3')
const client = new Etcd3({ hosts: `http://${process.argv[2]}` })
const base = `etcd3-${process.pid}-${Date.now()}/`
let steps = 0
const step = name => {
  steps += 1
  console.log(`  etcd3 ${name}`)
}

step('put, get, delete')
await client.put(`${base}a`).value('1')
assert.equal(await client.get(`${base}a`).string(), '1')
await client.put(`${base}b`).value('2')
assert.deepEqual(await client.getAll().prefix(base).strings(), {
  [`${base}a`]: '1',
  [`${base}b`]: '2',
})
assert.deepEqual(await client.getAll().prefix(base).sort('Key', 'Descend').limit(1).keys(), [
  `${base}b`,
])
assert.equal((await client.delete().key(`${base}b`)).deleted, '1')
assert.equal(await client.get(`${base}b`), null)

step('transactions')
const won = await client
  .if(`${base}a`, 'Value', '==', '1')
  .then(client.put(`${base}a`).value('3'))
  .else(client.get(`${base}a`))
  .commit()
assert.equal(won.succeeded, true)
const lost = await client
  .if(`${base}a`, 'Version', '>', 7)
  .then(client.put(`${base}a`).value('9'))
  .else(client.get(`${base}a`))
  .commit()
assert.equal(lost.succeeded, false)
assert.equal(lost.responses[0].response_range.kvs[0].value.toString(), '3')

step('watch')
const watcher = await client.watch().prefix(base).create()
const events = []
const three = new Promise(resolve => {
  const add = (type, kv) => {
    events.push([type, kv.key.toString().slice(base.length)])
    if (events.length === 3) resolve()
  }
  watcher.on('put', kv => add('put', kv)).on('delete', kv => add('delete', kv))
})
await client.put(`${base}w`).value('x')
await client.put(`${base}w`).value('y')
await client.delete().key(`${base}w`)
await three
assert.deepEqual(events, [
  ['put', 'w'],
  ['put', 'w'],
  ['delete', 'w'],
])
await watcher.cancel()

step('watch of puts alone, with what was before')
const puts = await client.watch().key(`${base}p`).only('put').withPreviousKV().create()
const before = []
const all = new Promise(resolve => {
  puts.on('put', (kv, previous) => {
    before.push([kv.value.toString(), previous?.value.toString()])
    if (before.length === 3) resolve()
  })
  puts.on('delete', () => assert.fail('a delete came'))
})
for (const value of ['1', '2']) await client.put(`${base}p`).value(value)
await client.delete().key(`${base}p`)
await client.put(`${base}p`).value('3')
await all
assert.deepEqual(before, [
  ['1', undefined],
  ['2', '1'],
  ['3', undefined],
])
await puts.cancel()

step('a transaction in a transaction')
const range = { request_range: { key: Buffer.from(`${base}n`) } }
const put = { request_put: { key: Buffer.from(`${base}n`), value: Buffer.from('inner') } }
const inner = { request_txn: { compare: [], success: [put, range], failure: [] } }
const outer = await client.kv.txn({ compare: [], success: [inner], failure: [] })
assert.equal(
  outer.responses[0].response_txn.responses[1].response_range.kvs[0].value.toString(),
  'inner',
)

step('lease with keep-alive, revoke')
const lease = client.lease(5)
await lease.put(`${base}leased`).value('l')
await lease.keepaliveOnce()
assert.equal(await client.get(`${base}leased`).string(), 'l')
await lease.revoke()
assert.equal(await client.get(`${base}leased`), null)

step('lock')
await client
  .lock(`${base}lock`)
  .ttl(5)
  .do(async () => {})

await client.delete().prefix(base)
client.close()
console.log(`etcd3 round: ${steps} steps`)
process.exit(0)
