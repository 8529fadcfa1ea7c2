/**
 * An empty etcd port in a process of its own, on our framing or on node:http2 (`ours`, `node`):
 * answers every unary call with the same bytes. Reports its port, and its CPU time when asked.
 */
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { systemClock, systemTimers } from '../../runtime/clock.ts'
import { systemNetwork } from '../../runtime/network-node.ts'
import { type EtcdServer, startEtcdServer } from '../../transport/etcd/server.ts'

export const path = '/etcdserverpb.KV/Range'
/** A RangeResponse with a header and no key. */
const answer = Buffer.from('0a080801100118012001', 'hex')
const framedAnswer = Buffer.concat([Buffer.of(0, 0, 0, 0, answer.length), answer])

if (process.argv[2] === 'ours') startOurs()
else startNode()

process.on('message', () => process.send?.({ cpu: process.cpuUsage() }))
process.on('disconnect', () => process.exit())

function startOurs(): void {
  const server: EtcdServer = startEtcdServer({
    host: { clock: systemClock, timers: systemTimers, network: systemNetwork },
    listen: { host: '127.0.0.1', port: 0 },
    methods: [{ path, id: 1, requests: 'one' }],
    handler: {
      call: (connection, stream) => server.reply(connection, stream, answer),
      opened() {},
      message() {},
      halfClosed() {},
      cancelled() {},
      drained() {},
      eased() {},
      connectionClosed() {},
      http: (_, reply) => reply({ status: 404, contentType: 'text/plain', body: '' }),
    },
    onListening: () => process.send?.({ port: server.port }),
  })
}

function startNode(): void {
  const server = http2.createServer()
  server.on('stream', stream => {
    stream.on('error', () => {})
    stream.resume()
    stream.on('end', () => {
      const headers = { ':status': 200, 'content-type': 'application/grpc' }
      stream.respond(headers, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(framedAnswer)
    })
  })
  server.listen(0, '127.0.0.1', () =>
    process.send?.({ port: (server.address() as AddressInfo).port }),
  )
}
