/**
 * The load, in a process of its own: `client.ts <port>`. Each line of standard input is a run
 * `{"connections", "inFlight", "millis"}`; answers with one line of figures.
 */
import { createInterface } from 'node:readline'
import { systemClock, systemTimers } from '../../runtime/clock.ts'
import { systemNetwork } from '../../runtime/network-node.ts'
import { replyBytes } from './actors.ts'
import { Growing } from './growing.ts'

export interface Run {
  readonly connections: number
  readonly inFlight: number
  readonly millis: number
}

export interface Figures {
  readonly perSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
}

const bodyBytes = 128
const requestBytes = 8 + bodyBytes
const port = Number(process.argv[2])

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await load(JSON.parse(line) as Run)))
}
process.exit(0)

async function load({ connections, inFlight, millis }: Run): Promise<Figures> {
  const latencies: number[] = []
  const start = systemClock.monotonicMillis()
  const end = start + millis
  await Promise.all(Array.from({ length: connections }, () => converse(inFlight, end, latencies)))
  const seconds = (systemClock.monotonicMillis() - start) / 1000
  latencies.sort((left, right) => left - right)
  const at = (share: number): number =>
    Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 1000)
  return {
    perSecond: Math.round(latencies.length / seconds),
    p50Micros: at(0.5),
    p99Micros: at(0.99),
  }
}

/** One connection: `inFlight` requests under way until the end, then waits for the rest. */
function converse(inFlight: number, endMillis: number, latencies: number[]): Promise<void> {
  return new Promise(resolve => {
    const socket = systemNetwork.connect({ host: '127.0.0.1', port })
    const sentMillis = new Float64Array(inFlight)
    const output = new Growing()
    const input = new Growing()
    let underWay = 0
    let key = 0

    function send(slot: number, now: number): void {
      const at = output.reserve(requestBytes)
      output.bytes.writeUInt32LE(requestBytes - 4, at)
      output.bytes.writeUInt32LE(slot, at + 4)
      output.bytes.writeUInt32LE(key++ % 10_000, at + 8)
      sentMillis[slot] = now
      underWay++
    }

    function flush(): void {
      if (output.length > 0) socket.write(output.view())
      output.clear()
      if (underWay === 0) socket.end()
    }

    socket.open({
      connected() {
        const now = systemClock.monotonicMillis()
        for (let slot = 0; slot < inFlight; slot++) send(slot, now)
        flush()
      },
      data(chunk) {
        const now = systemClock.monotonicMillis()
        input.append(chunk)
        let at = 0
        for (; input.length - at >= replyBytes; at += replyBytes) {
          const slot = input.bytes.readUInt32LE(at + 4)
          latencies.push(now - sentMillis[slot]!)
          underWay--
          if (now < endMillis) send(slot, now)
        }
        input.drop(at)
        flush()
      },
      closed: () => systemTimers.after(0, resolve),
    })
  })
}
