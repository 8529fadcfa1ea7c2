import type { Logger } from '../runtime/log.ts'

/** What the log says when the certificate files of a port have changed. */
export function certificateNews(log: Logger, port: string): (error?: Error) => void {
  return error => {
    if (error === undefined) log.info('The certificate has been read again', { port })
    else {
      const reason = error.message
      log.error('The changed certificate cannot be used: the one before stays in use', {
        port,
        reason,
      })
    }
  }
}
