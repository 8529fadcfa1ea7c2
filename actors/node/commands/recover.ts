/** `quorate recover`: what a stopped node's disk still has, what is lost, and, once confirmed, a new start. */
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { createJobPool, mainHost } from '../../../runtime/threads.ts'
import type { DataDirectoryOptions } from '../../../storage/data-directory.ts'
import { lockDirectory } from '../../../storage/directory-lock.ts'
import type { Salvage } from '../../../storage/journal-salvage.ts'
import type { Membership } from '../../consensus/interface.ts'
import { loadConfig } from '../config.ts'
import type { Config } from '../config-schema.ts'
import { checkOwner } from '../directory-owner.ts'
import { CommandError } from '../errors.ts'
import { ownMember } from '../ports.ts'
import { carryOutRecovery, planRecovery, type RecoveryPlan } from '../recovery.ts'

export interface RecoverOptions {
  readonly config: string
  readonly forceNewCluster: boolean
  readonly yes: boolean
}

export async function recover(options: RecoverOptions): Promise<void> {
  const config = loadConfig(options.config)
  const jobs = createJobPool(1)
  const host = mainHost(jobs)
  const path = resolve(config.dataDirectory)
  const logPath = resolve(config.logDirectory ?? path)
  const { disk, random, clock } = host
  const locks = []
  try {
    for (const directory of new Set([path, logPath])) {
      if (!disk.exists(directory)) throw new CommandError(`${directory} does not exist`)
      // A node that runs has it.
      locks.push(await lockDirectory(directory))
      checkOwner(directory, config.cluster.name, ownMember(config).id)
    }
    const { segmentBytes } = config.journal
    const incarnationMin = Math.floor(clock.wallMillis())
    const store = { disk, random, path, logPath, segmentBytes, incarnationMin }
    const plan = planRecovery(store)
    for (const line of findings(plan)) console.log(line)
    if (!isNeeded(plan, config, options)) return
    await carryOut(plan, store, host, config, options)
  } finally {
    for (const lock of locks) lock.release()
    await jobs.close()
  }
}

async function carryOut(
  plan: RecoveryPlan,
  store: DataDirectoryOptions,
  host: ReturnType<typeof mainHost>,
  config: Config,
  { yes, config: file }: RecoverOptions,
): Promise<void> {
  for (const line of consequences(plan.membership, config)) console.log(line)
  if (!yes && !(await isConfirmed())) throw new CommandError('nothing was changed')
  const { id, peer, etcd } = ownMember(config)
  const own = { node: id, address: peer, ...(etcd === undefined ? {} : { etcd }) }
  await carryOutRecovery(plan, store, host, own)
  console.log(
    `Done. What was there is kept beside it. Start the node: quorate start --config ${file}`,
  )
}

/** @throws CommandError where this is not the way. */
function isNeeded(
  plan: RecoveryPlan,
  config: Config,
  { forceNewCluster }: RecoverOptions,
): boolean {
  if (forceNewCluster) return true
  const own = ownMember(config).id
  const others = othersOf(plan.membership, config)
  const isWhole = plan.salvage.damage === undefined && !plan.isSetAside
  if (isWhole) {
    console.log('Nothing is to be recovered: the journal is whole.')
    return false
  }
  if (others.length === 0) return true
  throw new CommandError(
    `the cluster has other members (${others.join(', ')}). Where a majority of them runs, nothing is lost: start this ` +
      `node and bind it anew (quorate member replace ${own}). Only where none can be had any more: ` +
      '--force-new-cluster',
  )
}

function findings({ directory, source, checkpoint, salvage }: RecoveryPlan): string[] {
  const { kept, damage } = salvage
  const last = Math.max(kept.last, checkpoint.position)
  const lines = [
    `Store ${directory.storeId}, journal ${source}`,
    checkpoint.position === 0
      ? 'There is no checkpoint.'
      : `The checkpoint has everything up to position ${checkpoint.position} (${iso(checkpoint.timeMillis)}).`,
  ]
  const time = kept.count > 0 ? kept.lastTimeMillis : checkpoint.timeMillis
  lines.push(`The log is kept up to position ${last} (${iso(time)}).`)
  if (damage === undefined) return lines
  return [
    ...lines,
    `DAMAGED: ${damage.path} at byte ${damage.offset}: ${damage.reason}`,
    lossOf(last, time, salvage),
  ]
}

function lossOf(last: number, time: number, { behind }: Salvage): string {
  if (behind.count === 0) {
    return (
      `LOST: what was written from position ${last + 1} on, after ${iso(time)}. Nothing behind the damage can ` +
      'be read, so how much it was cannot be told; it may have been acknowledged.'
    )
  }
  const unread = behind.first - last - 1
  const between =
    unread > 0 ? ` (${unread} of them, up to ${behind.first - 1}, in the part that is damaged)` : ''
  return (
    `LOST: positions ${last + 1} to ${behind.last}${between}, written after ${iso(time)} and up to ` +
    `${iso(behind.lastTimeMillis)}. They may have been acknowledged.`
  )
}

function consequences(membership: Membership, config: Config): string[] {
  const own = ownMember(config)
  const others = othersOf(membership, config)
  const lines = [
    `WARNING: ${own.name} becomes the only member of a new cluster, with the data that is kept.`,
  ]
  if (others.length > 0) {
    lines.push(
      `${others.join(', ')}: no members any more, refused from now on. What they have and this node lacks is lost.`,
      'Never let them go on as the old cluster; empty their data directories before `quorate member add`.',
      'Entries that the old cluster may not have agreed on are kept, as if it had.',
    )
  }
  return lines
}

async function isConfirmed(): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new CommandError('nobody can be asked here: --yes goes on without')
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return (await terminal.question('Go on? Type yes: ')).trim() === 'yes'
  } finally {
    terminal.close()
  }
}

/** Names; as configured where nothing is known of the members any more. */
function othersOf({ voters, outgoing, learners }: Membership, config: Config): string[] {
  const known = [...voters, ...outgoing, ...learners].map(({ node }) => node)
  const all = known.length > 0 ? known : config.cluster.members.map(({ id }) => id)
  const own = ownMember(config).id
  return [...new Set(all)].filter(node => node !== own).map(node => nameOf(config, node))
}

function nameOf(config: Config, node: number): string {
  return config.cluster.members.find(({ id }) => id === node)?.name ?? `node ${node}`
}

function iso(millis: number): string {
  return millis === 0 ? 'time unknown' : new Date(millis).toISOString()
}
