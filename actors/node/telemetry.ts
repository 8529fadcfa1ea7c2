/** What the configuration says of tracing and metrics, made for one thread. */
import { createLazyMetrics, metricsOff } from '../../runtime/metrics.ts'
import type { System } from '../../runtime/system.ts'
import type { Telemetry } from '../../runtime/telemetry.ts'
import { createTracing, type Tracing, tracingOff } from '../../runtime/tracing.ts'
import type { Config } from './config-schema.ts'

/** At once where nothing is traced: the simulator relies on it. */
export function createTelemetry(system: System, config: Config): Telemetry | Promise<Telemetry> {
  const metrics = config.metrics.enabled ? createLazyMetrics() : metricsOff
  if (config.tracing.exporter === 'none') return { tracing: tracingOff, metrics }
  return tracingOf(system, config).then(tracing => ({ tracing, metrics }))
}

async function tracingOf(
  { thread, log }: System,
  { tracing, cluster, node }: Config,
): Promise<Tracing> {
  const { exporter, endpoint, ratio } = tracing
  if (exporter === 'none') return tracingOff
  const attributes = { cluster: cluster.name, node, thread }
  const failed = (reason: string): void => log.warn('Traces are lost', { reason })
  const serviceName = 'quorate'
  return await createTracing({ exporter, endpoint, ratio, serviceName, attributes, failed })
}
