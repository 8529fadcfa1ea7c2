/** What V8 is told about collections. */
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

/**
 * For threads that start from now on. A heap of 16 MB gets a limit of 24 to 32 MB by itself; with that
 * little room V8 starts the next full collection as soon as one is done, some two a second under
 * load: a third of all CPU.
 */
export function giveOldGenerationsRoom(): void {
  setFlagsFromString(`--initial-old-space-size=${oldGenerationMegabytes}`)
}

const oldGenerationMegabytes = 48
