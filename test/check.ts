/** `npm run check`: types, lint and format, import directions; the first that fails ends it. */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { resolve } = createRequire(import.meta.url)
// The binary by path: the package that brings it for all platforms cannot be locked (biome.json).
const biome = join(dirname(resolve(`@biomejs/cli-linux-${process.arch}/package.json`)), 'biome')
const node = process.execPath
const steps: [string, string, string[]][] = [
  ['types', node, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root]],
  ['lint and format', biome, ['check', '--error-on-warnings', root]],
  [
    'import directions',
    node,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--project',
      'unit',
      'test/architecture.test.ts',
    ],
  ],
]
for (const [name, command, args] of steps) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  console.log(`${name}: ${status === 0 ? 'ok' : 'failed'}`)
  if (status !== 0) process.exit(1)
}
