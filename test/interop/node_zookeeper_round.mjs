// A round of what the ZooKeeper door offers, with the npm client:
// node_zookeeper_round.mjs HOST:PORT ALL, where ALL are the servers that the session moves between
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

if (process.argv.includes('--help')) {
  console.log(
    'A round of what the ZooKeeper door offers, with the npm client: node_zookeeper_round.mjs HOST:PORT ALL,\nwhere ALL are the servers that the session moves between',
  )
  process.exit(0)
}

const zookeeper = createRequire(new URL('./.cache/npm/package.json', import.meta.url))(
  'node-zookeeper-client',
)
const client = zookeeper.createClient(process.argv[2], { sessionTimeout: 10000, retries: 0 })
const base = `/node-${process.pid}-${Date.now()}`
let steps = 0
const step = name => {
  steps += 1
  console.log(`  node-zookeeper-client ${name}`)
}
const call = (method, ...args) =>
  new Promise((resolve, reject) => {
    client[method](...args, (error, ...results) => (error ? reject(error) : resolve(results)))
  })
const connected = new Promise(resolve => client.once('connected', resolve))
client.connect()
await connected

step('create, getData, setData')
assert.deepEqual(await call('create', base, Buffer.from('one')), [base])
const [data, stat] = await call('getData', base)
assert.equal(data.toString(), 'one')
assert.equal(stat.version, 0)
const [after] = await call('setData', base, Buffer.from('two'), 0)
assert.equal(after.version, 1)
await assert.rejects(call('setData', base, Buffer.from('x'), 7), { name: 'BAD_VERSION' })
await assert.rejects(call('getData', `${base}/none`), { name: 'NO_NODE' })

step('ephemeral and sequential, children')
await call('create', `${base}/e`, zookeeper.CreateMode.EPHEMERAL)
const [sequential] = await call('create', `${base}/s-`, zookeeper.CreateMode.PERSISTENT_SEQUENTIAL)
assert.equal(sequential, `${base}/s-0000000001`)
const [children] = await call('getChildren', base)
assert.deepEqual(children.sort(), ['e', 's-0000000001'])

step('watch')
const event = new Promise(resolve => client.exists(`${base}/w`, resolve, () => {}))
await call('create', `${base}/w`)
const seen = await event
assert.equal(seen.getName(), 'NODE_CREATED')
assert.equal(seen.getPath(), `${base}/w`)

step('transaction')
await new Promise((resolve, reject) =>
  client
    .transaction()
    .create(`${base}/t`, Buffer.from('t'))
    .setData(`${base}/t`, Buffer.from('u'))
    .check(`${base}/t`, 1)
    .remove(`${base}/w`, -1)
    .commit((error, results) => (error ? reject(error) : resolve(results))),
)
const [transacted] = await call('getData', `${base}/t`)
assert.equal(transacted.toString(), 'u')

step('access lists')
const [acls] = await call('getACL', base)
assert.equal(acls[0].id.scheme, 'world')
await call(
  'setACL',
  `${base}/t`,
  [
    new zookeeper.ACL(
      zookeeper.Permission.READ | zookeeper.Permission.ADMIN,
      zookeeper.Id.ANYONE_ID_UNSAFE,
    ),
  ],
  -1,
)
await assert.rejects(call('setData', `${base}/t`, Buffer.from('v'), -1), { name: 'NO_AUTH' })

step('a session that moves to another server takes its watches and ephemerals along')
const moving = zookeeper.createClient(process.argv[3], { sessionTimeout: 10000, retries: 0 })
const arrived = () => new Promise(resolve => moving.once('connected', resolve))
let there = arrived()
moving.connect()
await there
const session = moving.getSessionId().toString('hex')
await new Promise((resolve, reject) =>
  moving.create(`${base}/m`, Buffer.from('m'), zookeeper.CreateMode.EPHEMERAL, error =>
    error ? reject(error) : resolve(),
  ),
)
// Answered when the watch is registered.
const watch = (who, method, path) =>
  new Promise(resolve => {
    const event = new Promise(fired => who[method](path, fired, () => resolve({ event })))
  })
const { event: missed } = await watch(moving, 'getData', `${base}/t`)
const { event: later } = await watch(moving, 'exists', `${base}/later`)
await call('setACL', `${base}/t`, zookeeper.ACL.OPEN_ACL_UNSAFE, -1)
// The next server of the list takes over; what changes meanwhile is told when the watches are set again.
there = arrived()
moving.connectionManager.socket.destroy()
await call('setData', `${base}/t`, Buffer.from('while it moved'), -1)
await there
assert.equal(moving.getSessionId().toString('hex'), session)
assert.equal((await missed).getName(), 'NODE_DATA_CHANGED')
await call('create', `${base}/later`)
assert.equal((await later).getName(), 'NODE_CREATED')
const [owned] = await call('exists', `${base}/m`)
assert.equal(owned.ephemeralOwner.toString('hex'), session)
const { event: left } = await watch(client, 'exists', `${base}/m`)
moving.close()
assert.equal((await left).getName(), 'NODE_DELETED')

step('remove, close')
for (const child of ['e', 's-0000000001', 't', 'later'])
  await call('remove', `${base}/${child}`, -1)
await call('remove', base, -1)
const closed = new Promise(resolve => client.once('disconnected', resolve))
client.close()
await closed
console.log(`node-zookeeper-client round: ${steps} steps`)
process.exit(0)
