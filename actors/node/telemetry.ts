/** What the configuration says of tracing and metrics, made for one thread. */
import { createLazyMetrics, metricsOff } from '../../runtime/metrics.ts'
import type { Telemetry } from '../../runtime/telemetry.ts'
import { createTracing, type Tracing, tracingOff } from '../../runtime/tracing.ts'
import type { Config } from './config-schema.ts'

/** At once where nothing is traced: the simulator relies on it. */
export function createTelemetry(thread: string, config: Config): Telemetry | Promise<Telemetry> {
  const metrics = config.metrics.enabled ? createLazyMetrics() : metricsOff
  if (config.tracing.exporter === 'none') return { tracing: tracingOff, metrics }
  return tracingOf(thread, config).then(tracing => ({ tracing, metrics }))
}

async function tracingOf(thread: string, { tracing, cluster, node }: Config): Promise<Tracing> {
  const { exporter, endpoint, ratio } = tracing
  if (exporter === 'none') return tracingOff
  const attributes = { cluster: cluster.name, node, thread }
  return await createTracing({ exporter, endpoint, ratio, serviceName: 'quorate', attributes })
}
