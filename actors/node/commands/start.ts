/**
 * `quorate start`: one node in the foreground. Takes the data directory, starts the threads, serves
 * until a signal, then hands over leadership, lets the threads flush, and exits 0.
 */
import { resolve } from 'node:path'
import { systemClock } from '../../../runtime/clock.ts'
import type { Host } from '../../../runtime/host.ts'
import { createLogger, type Logger } from '../../../runtime/log.ts'
import { collectGarbage } from '../../../runtime/memory.ts'
import { reloadCertificates } from '../../../runtime/network-node-tls.ts'
import { Router } from '../../../runtime/router.ts'
import { System } from '../../../runtime/system.ts'
import { createJobPool, mainHost, startThreads, warmThreads } from '../../../runtime/threads.ts'
import { shareTraceClock } from '../../../runtime/tracing-clock.ts'
import { type DataDirectory, openDataDirectory } from '../../../storage/data-directory.ts'
import { type DirectoryLock, lockDirectory } from '../../../storage/directory-lock.ts'
import { ensureDirectory } from '../../../storage/files.ts'
import { adminTokens, startAdmin } from '../admin.ts'
import { loadConfig } from '../config.ts'
import type { Config } from '../config-schema.ts'
import { checkOwner } from '../directory-owner.ts'
import { type Control, type ControlSetup, controlActor } from '../control-actor.ts'
import { CommandError, isSystemError } from '../errors.ts'
import { memberDifferences, membersOf } from '../member-differences.ts'
import { NodeMetrics } from '../node-metrics.ts'
import { type NodeSetup, nodeSetup } from '../node-setup.ts'
import { ThreadLives } from '../thread-lives.ts'
import { checkPeerTrust, trustWarnings } from '../peer-trust.ts'
import { placementOf, withCollectors } from '../placement.ts'
import { checkCertificates, checkNotOwned, checkPorts, ownMember } from '../ports.ts'
import { protocols } from '../protocols.ts'
import { handleSignals } from '../signals.ts'

const jobThreadsMax = 2
const readyPollMillis = 20
const removedMillis = 1000
/** Of the time to stop, the part in which clients get their last answers. */
const drainPart = 0.25
const threadModule = new URL('../thread.ts', import.meta.url)

export async function start(options: { config: string }): Promise<void> {
  await startNode(loadConfig(options.config))
}

/** `module` is what its threads import; tests have their own. */
export async function startNode(config: Config, module = threadModule): Promise<void> {
  checkCertificates(config)
  checkPeerTrust(config)
  adminTokens(config)
  checkNotOwned(config)
  await checkPorts(config)
  const log = createLogger({
    ...config.logging,
    wallMillis: systemClock.wallMillis,
    fields: { node: config.node },
  })
  const jobs = createJobPool(jobThreadsMax)
  const host = mainHost(jobs)
  const actors = placementOf(config)
  const placement = config.metrics.enabled ? withCollectors(actors) : actors
  const warm = warmThreads(placement, module)
  const directory = await ownDirectory(config, host)
  if (directory.data.damage !== '') {
    const what = { damage: directory.data.damage, help: `quorate member replace ${config.node}` }
    log.error('This store is damaged: the node begins as a new one and waits to be bound', what)
  }
  log.info('The node starts', { threads: Object.keys(actors).join(', ') })
  for (const sentence of trustWarnings(config)) log.warn(sentence)
  const setup: NodeSetup = {
    ...nodeSetup(config, directory.data),
    ...(config.tracing.exporter === 'none' ? {} : { traceClock: shareTraceClock() }),
  }
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
  const lives = new ThreadLives(actors, () => host.clock.monotonicMillis())
  const controlSetup: ControlSetup = { node: setup.nodeId }
  system.spawn(controlActor, 'control', controlSetup)
  const control = controlSetup.control as Control
  const threads = await startThreads({
    common,
    module,
    warm,
    setup: thread => ({ ...setup, generation: lives.begin(thread) }),
    router,
    log,
    jobs,
    onThreadLost: thread => lives.end(thread),
    onLost: (thread, error) => {
      if (lives.hasEnded(thread)) fatal(log, `Thread ${thread} is lost: the process ends`, error)
    },
  }).catch((error: Error) => fatal(log, 'The node cannot start', error))
  router.open()
  const metrics = config.metrics.enabled ? new NodeMetrics(control, system) : undefined
  control.metrics = metrics
  const admin = await startAdmin(config, control, metrics, log).catch((error: Error) =>
    fatal(log, 'The admin port cannot be opened', error),
  )
  const stop = async (): Promise<void> => {
    const { shutdownMillis } = config.timings
    log.info('The node stops')
    setTimeout(() => {
      log.warn('The process ends before all is handed over', { shutdownMillis })
      process.exit(0)
    }, shutdownMillis)
    admin.close()
    await control.drain(shutdownMillis * drainPart)
    await control.handOver()
    system.stop()
    await threads.stop()
    directory.release()
    log.info('The process ends')
    process.exit(0)
  }
  let stopping = false
  handleSignals({
    stop() {
      if (stopping) return
      stopping = true
      stop().catch((error: Error) => fatal(log, 'The node cannot stop in order', error))
    },
    reload: reloadCertificates,
  })
  // Clients of a node that is no member any more would wait for ever. Who asked for it is answered first.
  control.onRemoved = () => {
    log.warn('This node is removed from the cluster: it stops')
    setTimeout(() => process.kill(process.pid, 'SIGTERM'), removedMillis)
  }
  announceReady(control, log, config, () => directory.data.markFormed())
}

interface OwnedDirectory {
  readonly data: DataDirectory
  readonly release: () => void
}

/** The directories are this process's before anything in them is looked at (DESIGN.md D21). */
async function ownDirectory(config: Config, host: Host): Promise<OwnedDirectory> {
  const path = resolve(config.dataDirectory)
  const logPath = resolve(config.logDirectory ?? path)
  const { disk, random, clock } = host
  try {
    const locks: DirectoryLock[] = []
    for (const directory of new Set([path, logPath])) {
      // Durable names: what is acknowledged in there must not vanish with the directory.
      ensureDirectory(disk, directory)
      locks.push(await lockDirectory(directory))
      checkOwner(directory, config.cluster.name, ownMember(config).id)
    }
    const { segmentBytes } = config.journal
    const data = openDataDirectory({
      disk,
      random,
      path,
      logPath,
      segmentBytes,
      incarnationMin: Math.floor(clock.wallMillis()),
    })
    return {
      data,
      release() {
        for (const lock of locks) lock.release()
      },
    }
  } catch (error) {
    const { message } = error as Error
    throw new CommandError(
      isSystemError(error) ? `the data directory ${path} cannot be used: ${message}` : message,
    )
  }
}

/** Ready is a linearizable read answered; asked until it is. */
function announceReady(control: Control, log: Logger, config: Config, formed: () => void): void {
  control.ready(error => {
    if (error !== undefined) {
      setTimeout(() => announceReady(control, log, config, formed), readyPollMillis)
    } else {
      formed()
      const { zookeeper, etcd, admin } = config.listeners
      const ports = { zookeeper: zookeeper.port, etcd: etcd.port, admin: admin.port }
      // Starting read the journal and compiled the program; from here on this thread idles.
      collectGarbage()
      log.info('The node is ready to serve client requests', ports)
      control.status(['consensus'], ({ consensus }) => {
        for (const difference of memberDifferences(config, membersOf(consensus))) {
          log.warn('The configuration and the membership differ', { difference })
        }
      })
    }
  })
}

/** The last line says why; the exit code that supervisors of processes look at. */
function fatal(log: Logger, sentence: string, error: Error): never {
  log.error(sentence, { error })
  process.exit(70)
}
