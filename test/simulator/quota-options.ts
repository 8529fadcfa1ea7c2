/**
 * Worlds whose state may hold little, and becomes full: what is refused is refused everywhere (states are
 * compared), and what makes the state smaller never is.
 */
import { optionsFor, type WorldOptions } from './options.ts'

const quotaBytes = 1024 * 1024

export function quotaOptionsFor(seed: string): WorldOptions {
  const options = optionsFor(seed)
  // A full disk refuses everything.
  const faults = options.faults.filter(({ fault }) => fault.kind !== 'diskFull')
  return { ...options, faults, quotaBytes, operations: 2 * options.operations }
}
