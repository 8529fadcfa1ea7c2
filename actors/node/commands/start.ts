/**
 * `quorate start`: one node in the foreground. Takes the data directory, starts the threads, serves
 * until a signal, then hands over leadership, lets the threads flush, and exits 0.
 */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { systemClock } from '../../../runtime/clock.ts'
import type { Host } from '../../../runtime/host.ts'
import { createLogger, type Logger } from '../../../runtime/log.ts'
import { Router } from '../../../runtime/router.ts'
import { System } from '../../../runtime/system.ts'
import { createJobPool, mainHost, startThreads } from '../../../runtime/threads.ts'
import { type DataDirectory, openDataDirectory } from '../../../storage/data-directory.ts'
import { lockDirectory } from '../../../storage/directory-lock.ts'
import { startAdmin } from '../admin.ts'
import { loadConfig } from '../config.ts'
import type { Config } from '../config-schema.ts'
import { type Control, type ControlSetup, controlActor } from '../control-actor.ts'
import { CommandError } from '../errors.ts'
import { nodeSetup } from '../node-setup.ts'
import { placementOf } from '../placement.ts'
import { checkPorts } from '../ports.ts'
import { protocols } from '../thread.ts'

const jobThreadsMax = 2
const readyPollMillis = 20

export async function start(options: { config: string }): Promise<void> {
  const config = loadConfig(options.config)
  await checkPorts(config)
  const log = createLogger({
    ...config.logging,
    wallMillis: systemClock.wallMillis,
    fields: { node: config.node },
  })
  const jobs = createJobPool(jobThreadsMax)
  const host = mainHost(jobs)
  const directory = await ownDirectory(config, host)
  const setup = nodeSetup(config, directory.data)
  const placement = placementOf(config)
  const common = {
    placement,
    node: setup.nodeId,
    log: { ...config.logging, fields: { node: config.node } },
    router: { nodesBy: 'peers' },
  }
  const system = new System({
    host: mainHost(jobs),
    log,
    thread: 'main',
    placement,
    node: setup.nodeId,
    protocols,
  })
  const router = new Router(system, common.router)
  const controlSetup: ControlSetup = {}
  system.spawn(controlActor, 'control', controlSetup)
  const control = controlSetup.control as Control
  const threads = await startThreads({
    common,
    module: new URL('../thread.ts', import.meta.url),
    setup: () => setup,
    router,
    log,
    jobs,
    // Consensus, log and state live on them: what is left must not go on alone (DESIGN.md D1).
    onThreadLost: () => 'stop',
    onLost: (thread, error) => fatal(log, `thread ${thread} was lost`, error),
  }).catch((error: Error) => fatal(log, 'the node could not start', error))
  router.open()
  const admin = await startAdmin(config, control)
  const stop = async (): Promise<void> => {
    log.info('stopping')
    const hardStop = setTimeout(() => process.exit(0), config.timings.shutdownMillis)
    await control.handOver()
    await threads.stop()
    admin.close()
    directory.release()
    clearTimeout(hardStop)
    process.exit(0)
  }
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      stop().catch((error: Error) => fatal(log, 'the node could not stop', error))
    })
  }
  announceReady(control, log, config)
}

interface OwnedDirectory {
  readonly data: DataDirectory
  readonly release: () => void
}

/** The directory is this process's before anything in it is looked at (DESIGN.md D21). */
async function ownDirectory(config: Config, host: Host): Promise<OwnedDirectory> {
  const path = resolve(config.dataDirectory)
  const journalPath = config.logDirectory === undefined ? undefined : resolve(config.logDirectory)
  try {
    mkdirSync(path, { recursive: true })
    const lock = await lockDirectory(path)
    const { disk, random, clock } = host
    const incarnationMin = Math.floor(clock.wallMillis() / 1000)
    const { segmentBytes } = config.journal
    const data = openDataDirectory({
      disk,
      random,
      path,
      journalPath,
      segmentBytes,
      incarnationMin,
    })
    return { data, release: () => lock.release() }
  } catch (error) {
    throw new CommandError((error as Error).message)
  }
}

/** Ready is a linearizable read answered; asked until it is. */
function announceReady(control: Control, log: Logger, config: Config): void {
  control.ready(error => {
    if (error !== undefined) setTimeout(() => announceReady(control, log, config), readyPollMillis)
    else {
      const { zookeeper, etcd, admin } = config.listeners
      const ports = { zookeeper: zookeeper.port, etcd: etcd.port, admin: admin.port }
      log.info('ready to serve client requests', ports)
    }
  })
}

/** The last line says why; the exit code that supervisors of processes look at. */
function fatal(log: Logger, sentence: string, error: Error): never {
  log.error(sentence, { error })
  process.exit(70)
}
