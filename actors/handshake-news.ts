import type { Clock } from '../runtime/host.ts'
import { LimitedLog } from '../runtime/limited-log.ts'
import type { Logger } from '../runtime/log.ts'

/** What the log says of callers that never got as far as a connection with TLS: a line a minute for each cause. */
export function handshakeNews(
  log: Logger,
  clock: Pick<Clock, 'monotonicMillis'>,
  port: string,
): (address: string, error: Error) => void {
  const limited = new LimitedLog(log)
  return (address, error) => {
    // Codes are those of the machine's TLS: few.
    const code = 'code' in error ? String(error.code) : 'noTls'
    const fields = { port, address, code, reason: error.message }
    limited.warn('A TLS handshake has failed', fields, clock.monotonicMillis(), code)
  }
}
