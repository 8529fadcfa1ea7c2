/** A follower: writes what the node sends, syncs once a turn, answers. `follower.ts <port> <path>` */
import { silentLogger } from '../../runtime/log.ts'
import { System } from '../../runtime/system.ts'
import { createJobPool, mainHost } from '../../runtime/threads.ts'
import { Growing } from './growing.ts'

const [port, path] = process.argv.slice(2)
const journalBytes = 64 * 1024 * 1024
const system = new System({ host: mainHost(createJobPool(1)), log: silentLogger })

system.spawn(
  {
    name: 'follower',
    start: context => {
      const file = context.host.disk.open(path!, 'create')
      file.write(Buffer.alloc(journalBytes), 0)
      file.syncNow()
      const input = new Growing()
      const answer = Buffer.alloc(8)
      let at = 0
      let answerTo: { write(bytes: Uint8Array): void } | undefined
      context.host.network.listen(
        { host: '127.0.0.1', port: Number(port) },
        socket => {
          input.clear()
          socket.open({
            data(chunk) {
              input.append(chunk)
              if (answerTo === undefined) context.self.tell({ kind: 'input' })
              answerTo = socket
            },
            closed() {},
          })
        },
        () => console.log('ready'),
      )
      context.onRoundEnd(() => {
        const end = wholeFrames(input, answer)
        if (end > 0) {
          if (at + end > journalBytes) at = 0
          file.write(input.bytes.subarray(0, end), at)
          file.syncNow()
          at += end
          input.drop(end)
          answerTo?.write(answer)
        }
        answerTo = undefined
      })
      return () => {}
    },
  },
  'follower',
  undefined,
)
process.stdin.on('end', () => process.exit(0)).resume()

/** Where the last whole frame ends; `answer` gets its position. */
function wholeFrames(input: Growing, answer: Buffer): number {
  let at = 0
  while (input.length - at >= 4) {
    const end = at + 4 + input.bytes.readUInt32LE(at)
    if (end > input.length) break
    input.bytes.copy(answer, 0, at + 4, at + 12)
    at = end
  }
  return at
}
