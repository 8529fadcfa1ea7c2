/**
 * One node of the skeleton: `node.ts <setup as JSON>`. Also the module of its threads.
 * Prints `ready` when its threads are up; ends with its standard input.
 */
import { pathToFileURL } from 'node:url'
import { silentLogger } from '../../runtime/log.ts'
import { Router } from '../../runtime/router.ts'
import { type Placement, System } from '../../runtime/system.ts'
import { createJobPool, mainHost, startThreads } from '../../runtime/threads.ts'
import { door, journal, log, peers } from './actors.ts'

export interface NodeSetup {
  readonly placement: Placement
  readonly port: number
  readonly followers: readonly number[]
  readonly path: string
}

export function startThread(system: System, setup: unknown): void {
  const { port, followers, path } = setup as NodeSetup
  const here = new Set(system.placement[system.thread])
  if (here.has('log')) system.spawn(log, 'log', undefined)
  if (here.has('peers')) system.spawn(peers, 'peers', { ports: followers })
  if (here.has('journal')) system.spawn(journal, 'journal', { path })
  if (here.has('door')) system.spawn(door, 'door', { port })
}

async function main(setup: NodeSetup): Promise<void> {
  const { placement } = setup
  const jobs = createJobPool(1)
  const system = new System({ host: mainHost(jobs), log: silentLogger, placement })
  const router = new Router(system)
  await startThreads({
    common: { placement, node: 1, router: {}, log: { level: 'warn', format: 'text', fields: {} } },
    module: new URL(import.meta.url),
    setup: () => setup,
    router,
    log: silentLogger,
    jobs,
    onThreadLost: () => 'stop',
    onLost: (_thread, error) => {
      console.error(error)
      process.exit(1)
    },
  })
  router.open()
  process.stdin.on('end', () => process.exit(0)).resume()
  console.log('ready')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(JSON.parse(process.argv[2] ?? '{}') as NodeSetup)
}
