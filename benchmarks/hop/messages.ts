/**
 * What a message costs: told and handled within a thread; encoded, carried and decoded between two
 * systems (in one thread, so that both sides are counted). `messages.ts`
 */
import type { Definition } from '../../runtime/actor.ts'
import { carrierPair } from '../../runtime/carrier.ts'
import { systemClock } from '../../runtime/clock.ts'
import { silentLogger } from '../../runtime/log.ts'
import { manualHost } from '../../runtime/manual-host.ts'
import { defineProtocol } from '../../runtime/protocol.ts'
import { Router } from '../../runtime/router.ts'
import { System } from '../../runtime/system.ts'

type Work = { readonly kind: 'work'; readonly id: number; readonly body: Uint8Array }
const protocol = defineProtocol<Work>('work', { work: { id: 'long', body: 'bytes' } })
const messagesOfTurn = 1_000
const turns = 1_000
const body = new Uint8Array(128)
let handled = 0

const worker: Definition<Work, void> = {
  name: 'worker',
  protocol,
  start: () => message => {
    handled += message.id
  },
}

const host = manualHost()
const placement = { left: ['source'], right: ['worker'] }
const left = new System({ host, log: silentLogger, thread: 'left', placement })
const right = new System({ host, log: silentLogger, thread: 'right', placement })
const [one, other] = carrierPair(callback => host.defer(callback))
const routers = [new Router(left), new Router(right)] as const
routers[0].connect('right', one)
routers[1].connect('left', other)
for (const router of routers) router.open()
const near = right.spawn(worker, 'worker', undefined)
const far = left.find(worker)

for (const [name, ref] of [
  ['within a thread', near],
  ['over a link', far],
] as const) {
  for (let run = 0; run < 3; run++) {
    const start = systemClock.monotonicMillis()
    for (let turn = 0; turn < turns; turn++) {
      for (let id = 0; id < messagesOfTurn; id++) ref.tell({ kind: 'work', id, body })
      host.runDeferred()
    }
    const nanos = ((systemClock.monotonicMillis() - start) * 1e6) / (turns * messagesOfTurn)
    console.log(`${name.padEnd(16)} ${nanos.toFixed(0)} ns a message`)
  }
}
console.log(`handled ${handled}`)
