/** Jobs for tests: `run` of the modules given, on this thread, on the disk given. */
import type { Disk, Jobs } from '../../runtime/host.ts'

type Run = (input: never, disk: Disk) => unknown

export function inlineJobs(
  disk: Disk,
  modules: readonly { readonly url: URL; readonly run: Run }[],
  later: (callback: () => void) => void = callback => void setImmediate(callback),
): Jobs {
  const byUrl = new Map(modules.map(({ url, run }) => [url.href, run]))
  return {
    run(module, input, done) {
      const run = byUrl.get(module.href)
      if (run === undefined) throw new Error(`no job ${module.href}`)
      later(() => {
        let result: unknown
        try {
          result = run(input as never, disk)
        } catch (error) {
          return done(error as Error)
        }
        done(undefined, result as never)
      })
    },
  }
}
