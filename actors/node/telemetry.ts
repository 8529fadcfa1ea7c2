/** What the configuration says of tracing and metrics, made for one thread. */
import { createLazyMetrics, metricsOff } from '../../runtime/metrics.ts'
import type { System } from '../../runtime/system.ts'
import type { Telemetry } from '../../runtime/telemetry.ts'
import { createTracing, type Tracing, tracingOff } from '../../runtime/tracing.ts'
import { traceClock } from '../../runtime/tracing-clock.ts'
import type { NodeSetup } from './node-setup.ts'
import { quorateVersion } from './version.ts'

/** At once where nothing is traced: the simulator relies on it. */
export function createTelemetry(system: System, node: NodeSetup): Telemetry | Promise<Telemetry> {
  const { config } = node
  const metrics = config.metrics.enabled ? createLazyMetrics() : metricsOff
  if (config.tracing.exporter === 'none') return { tracing: tracingOff, metrics }
  return tracingOf(system, node).then(tracing => ({ tracing, metrics }))
}

async function tracingOf(
  { thread, log }: System,
  { config, traceClock: shared }: NodeSetup,
): Promise<Tracing> {
  const { tracing, cluster, node } = config
  const { exporter, endpoint, ratio } = tracing
  if (exporter === 'none') return tracingOff
  const attributes = {
    'service.namespace': cluster.name,
    'service.instance.id': node,
    'service.version': quorateVersion,
    cluster: cluster.name,
    node,
    thread,
  }
  const clock = traceClock(shared)
  const failed = (reason: string): void => log.warn('Traces are lost', { reason })
  const serviceName = 'quorate'
  return await createTracing({ exporter, endpoint, ratio, serviceName, attributes, clock, failed })
}
