/** What a thread says of itself: its event loop, mailboxes and links. Measured once somebody collects. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Metrics } from './metrics.ts'
import type { Router } from './router.ts'
import type { System } from './system.ts'

const delayResolutionMillis = 20

export function observeThread(metrics: Metrics, system: System): void {
  const { thread, dispatcher } = system
  const own = { thread }
  metrics.observeCounter(
    'quorate_dead_letters_total',
    'Messages that reached nobody, or found no room.',
    observe => observe(system.deadLetters, own),
  )
  metrics.observeCounter(
    'quorate_messages_total',
    'Messages that the actors of a thread have handled.',
    observe => observe(dispatcher.messages, own),
  )
  metrics.observeCounter('quorate_turns_total', 'Turns of a thread.', observe =>
    observe(dispatcher.turns, own),
  )
  observeLinks(metrics, system)
  observeEventLoop(metrics, own)
}

function observeLinks(metrics: Metrics, system: System): void {
  const { thread } = system
  const each = (value: (link: Link) => number) => (observe: ObserveOne) => {
    for (const { thread: to, link } of (system.remote as Router | undefined)?.links() ?? [])
      observe(value(link), { thread, to })
  }
  metrics.observeCounter(
    'quorate_link_sent_bytes_total',
    'Bytes sent to another thread.',
    each(link => link.bytesSent),
  )
  metrics.observeCounter(
    'quorate_link_slabs_total',
    'Slabs sent to another thread.',
    each(link => link.slabsSent),
  )
  metrics.observeGauge(
    'quorate_link_credit_used_bytes',
    'Bytes that another thread has been sent and has not handled.',
    each(link => link.unhandledBytes),
  )
  metrics.observeGauge(
    'quorate_link_held_bytes',
    'Bytes that wait for credit of another thread.',
    each(link => link.heldBytes),
  )
}

type Link = ReturnType<Router['links']>[number]['link']
type ObserveOne = (value: number, labels: Readonly<Record<string, string>>) => void

/** Delays are those since the last collection. */
function observeEventLoop(metrics: Metrics, own: { readonly thread: string }): void {
  let delays: ReturnType<typeof monitorEventLoopDelay> | undefined
  metrics.observeGauge(
    'quorate_event_loop_delay_seconds',
    'How late timers of a thread were since the last collection.',
    observe => {
      if (delays === undefined) {
        delays = monitorEventLoopDelay({ resolution: delayResolutionMillis })
        delays.enable()
      } else if (delays.count > 0) {
        const seconds = (nanos: number): number =>
          Math.max(0, nanos / 1e9 - delayResolutionMillis / 1000)
        observe(seconds(delays.percentile(50)), { ...own, quantile: '0.5' })
        observe(seconds(delays.percentile(99)), { ...own, quantile: '0.99' })
        observe(seconds(delays.max), { ...own, quantile: '1' })
        delays.reset()
      }
    },
  )
  metrics.observeCounter(
    'quorate_event_loop_active_seconds_total',
    'Time that a thread was busy.',
    observe => observe(performance.eventLoopUtilization().active / 1000, own),
  )
}
