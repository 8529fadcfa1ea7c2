/** One a thread: collects what its actors count, when the node's own actor asks for it. */
import type { Definition } from '../runtime/actor.ts'
import { unreachable } from '../runtime/invariant.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { defineProtocol } from '../runtime/protocol.ts'
import { directory } from './directory.ts'

export type CollectorMessage =
  /** Answered to the node's own actor by `statusAnswer` with a MetricsSnapshot. */
  | { readonly kind: 'collect'; readonly id: number }
  | { readonly kind: 'collected'; readonly id: number; readonly json: string }

export const collectorProtocol = defineProtocol<CollectorMessage>('collector', {
  collect: { id: 'long' },
  collected: { id: 'long', json: 'string' },
})

/** The one of this thread, for `find`. */
export function collectorOf(thread: string): {
  readonly name: string
  readonly protocol: typeof collectorProtocol
} {
  return { name: `metrics-${thread}`, protocol: collectorProtocol }
}

export const collectorActor: Definition<CollectorMessage, Metrics> = {
  name: 'metrics',
  protocol: collectorProtocol,
  start(context, metrics) {
    const control = context.find(directory.control)
    const from = context.self.address.actor
    return message => {
      const { id } = message
      switch (message.kind) {
        case 'collect':
          metrics.collect().then(
            snapshot => {
              const json = JSON.stringify(snapshot)
              context.self.tell({ kind: 'collected', id, json })
            },
            (error: Error) => context.log.error('Metrics cannot be collected', { error }),
          )
          return
        case 'collected':
          control.tell({ kind: 'statusAnswer', from, id, json: message.json })
          return
        default:
          unreachable(message)
      }
    }
  },
}
