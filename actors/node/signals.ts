/** What the signals of a node's process mean. */
import { closeSync, openSync } from 'node:fs'
import { isatty } from 'node:tty'

export interface SignalHandlers {
  stop(): void
  /** Files of certificates are read again. */
  reload(): void
}

export function handleSignals(handlers: SignalHandlers): void {
  const hadTerminal = isatty(0)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => handlers.stop())
  process.on('SIGHUP', () => {
    // The system sends it as well when the terminal is closed in which the node was started.
    if (hadTerminal && !hasTerminal()) handlers.stop()
    else handlers.reload()
  })
  ignoreInspector()
}

/** SIGUSR1 makes Node listen for debuggers: whoever reaches those runs code in here. */
export function ignoreInspector(): void {
  process.on('SIGUSR1', () => {})
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
