// What a node's process is started with, unless the environment says otherwise. Plain JavaScript: the
// launcher reads it.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

export const nodeEnvironment = {
  // Compiled code is kept from start to start: half of what a start takes is reading TypeScript.
  NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/quorate'),
  // A node with a million keys keeps some 100 MB less resident, at a few percent of throughput
  // (benchmarks/million): young generations stay small, and threads share one arena.
  NODE_OPTIONS: '--max-semi-space-size=4',
  MALLOC_ARENA_MAX: '1',
}
