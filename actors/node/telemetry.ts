/** What the configuration says of tracing, made for one thread. */
import type { Telemetry } from '../../runtime/telemetry.ts'
import { metricsOff } from '../../runtime/metrics.ts'
import { createTracing, type Tracing, tracingOff } from '../../runtime/tracing.ts'
import type { Config } from './config-schema.ts'

export async function createTelemetry(thread: string, config: Config): Promise<Telemetry> {
  return { tracing: await tracingOf(thread, config), metrics: metricsOff }
}

async function tracingOf(thread: string, { tracing, cluster, node }: Config): Promise<Tracing> {
  const { exporter, endpoint, ratio } = tracing
  if (exporter === 'none') return tracingOff
  const attributes = { cluster: cluster.name, node, thread }
  return await createTracing({ exporter, endpoint, ratio, serviceName: 'quorate', attributes })
}
