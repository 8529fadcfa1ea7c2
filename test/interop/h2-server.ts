/**
 * The etcd port alone, for h2spec and other tools: echoes each message of two gRPC methods and
 * answers HTTP. `node test/interop/h2-server.ts [--port N] [--certificate FILE --key FILE]`
 */
import '../support/help.ts'
import { parseArgs } from 'node:util'
import { startEchoServer } from '../transport/etcd/echo-server.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    certificate: { type: 'string' },
    key: { type: 'string' },
  },
})
const tls =
  values.certificate !== undefined && values.key !== undefined
    ? { certificate: values.certificate, key: values.key }
    : undefined
// h2spec tries to exceed the number of streams: there has to be one.
const limits = { streamsMax: 100 }
const server = await startEchoServer({ limits, port: Number(values.port), ...(tls && { tls }) })
process.stdout.write(`ready on port ${server.port}\n`)
const stop = () => server.close(1000, () => process.exit(0))
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
