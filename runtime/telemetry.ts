/** What a thread gives its actors to trace and to count with. Where both are off they cost nothing. */
import { type Metrics, metricsOff } from './metrics.ts'
import { type Tracing, tracingOff } from './tracing.ts'

export interface Telemetry {
  readonly tracing: Tracing
  readonly metrics: Metrics
}

export const telemetryOff: Telemetry = { tracing: tracingOff, metrics: metricsOff }
