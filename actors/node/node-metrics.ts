/**
 * The metrics of a node: each thread has a collector for what its actors count, this one has the main
 * thread's and the process's; merged when somebody asks. Names that etcd's dashboards know are
 * etcd's; all others begin with `quorate_` or, of the process, with `process_`.
 */
import {
  formatPrometheus,
  mergeMetrics,
  type MetricsSnapshot,
} from '../../runtime/metrics-snapshot.ts'
import { createLazyMetrics, type Metrics } from '../../runtime/metrics.ts'
import { observeProcess } from '../../runtime/process-metrics.ts'
import type { System } from '../../runtime/system.ts'
import { observeThread } from '../../runtime/thread-metrics.ts'
import type { Control } from './control-actor.ts'
import { quorateVersion } from './version.ts'

export class NodeMetrics {
  readonly #control: Control
  readonly #threads: readonly string[]
  readonly #own: Metrics = createLazyMetrics()

  /** `system` is the main thread's. */
  constructor(control: Control, system: System) {
    this.#control = control
    this.#threads = Object.keys(system.placement).filter(thread => thread !== system.thread)
    observeProcess(this.#own)
    observeBuild(this.#own)
    observeThread(this.#own, system)
  }

  /** In Prometheus's text format; a thread that does not answer in time is missing. */
  text(answer: (text: string) => void): void {
    this.#control.collect(this.#threads, snapshots => {
      this.#own.collect().then(own => answer(textOf([own, ...snapshots])))
    })
  }
}

function observeBuild(metrics: Metrics): void {
  const labels = { version: quorateVersion, node_version: process.version, platform: platform() }
  metrics.observeGauge('quorate_build_info', 'What runs: always 1.', observe => observe(1, labels))
}

function platform(): string {
  return `${process.platform}/${process.arch}`
}

function textOf(snapshots: readonly MetricsSnapshot[]): string {
  return formatPrometheus(mergeMetrics(snapshots))
}
