/** Memory that only a collection gives back. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * A full collection of this thread, now. For a thread that idles after a start that left much
 * behind: without allocations of its own V8 would never come to it.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}
