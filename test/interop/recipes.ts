/**
 * kazoo's recipes, or Curator's, while nodes are killed with `kill -9` and started again, one at a
 * time; what each recipe promises is checked, and that no session is lost:
 * `launcher.mjs --script test/interop/recipes.ts [--curator] [--real] [SECONDS [RECIPE …]]`.
 * `--real`: of a real ZooKeeper, to tell whose oddity one is.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startQuorate, startZookeeper } from './zookeeper-differential/servers.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const options = new Set(process.argv.filter(one => one.startsWith('--')))
const isCurator = options.has('--curator')
const given = process.argv.slice(2).filter(one => !options.has(one))
const [secondsText = '40', ...recipes] = given
const firstPort = 24_600
const [killedMillis, aliveMillis] = [1_500, 3_000]

const cluster = options.has('--real')
  ? await startZookeeper(3, firstPort)
  : await startQuorate(3, firstPort, 'default')
const hosts = cluster.ports.map(port => `127.0.0.1:${port}`).join(',')
const [command = '', ...args] = isCurator
  ? ['java', '-cp', '.cache/curator/*', 'CuratorRecipes.java']
  : ['.cache/python/bin/python', 'kazoo_recipes.py']
const client = spawn(command, [...args, secondsText, hosts, ...recipes], {
  cwd: here,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const ended = new Promise<number>(resolve => client.on('exit', code => resolve(code ?? 1)))
let over = false
void ended.then(() => {
  over = true
})

await new Promise<void>(resolve => {
  client.on('exit', () => resolve())
  client.stdout.on('data', chunk => {
    process.stdout.write(chunk)
    if (String(chunk).includes('killed')) resolve()
  })
})
const until = performance.now() + Number(secondsText) * 1_000
await sleep(aliveMillis)
for (let kills = 0; !over && performance.now() < until; kills += 1) {
  const victim = kills % cluster.ports.length
  await cluster.kill(victim)
  await sleep(killedMillis)
  cluster.restart(victim)
  await sleep(aliveMillis)
  console.log(`  killed and started node ${victim + 1}`)
}
const code = await ended
await cluster.stop()
process.exit(code)

function sleep(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}
