/** The etcd door's half of the state machine: what the state actor calls. */
import { EtcdApply } from './etcd-apply.ts'
import { etcdRead } from './etcd-commands.ts'
import { EtcdReads } from './etcd-reads.ts'
import type { Lifetime } from './lifetimes.ts'
import { doorOf, stream } from './messages.ts'
import { left } from './slices.ts'
import type { Command, Face, Read, World } from './world.ts'

export interface EtcdFace extends Face {
  /** The keyspace has nothing left of what was compacted. */
  compacted(world: World): void
  /** Whether a client waits for that. */
  compactionAwaited(world: World): boolean
}

export const etcdFace: EtcdFace = {
  apply: (world: World, command: Command) => left(world, toolsOf(world).apply.apply(command)),
  refuse: (world: World, command: Command) => toolsOf(world).apply.refuse(command),
  read: (world: World, read: Read) => left(world, toolsOf(world).reads.read(read)),
  expire: (world: World, _command: Command, ended: Lifetime) =>
    left(world, toolsOf(world).apply.expire(ended)),
  compacted: (world: World) => toolsOf(world).apply.compacted(),
  compactionAwaited: (world: World) => toolsOf(world).apply.compactionAwaited,
}

/** A walk through history tells the watches what changed, in order with the changes to come. */
export function mustBeAlone({ stream: ofStream, request }: Read): boolean {
  return doorOf(ofStream) === stream.etcd && request[0] === etcdRead.history
}

interface Tools {
  readonly apply: EtcdApply
  readonly reads: EtcdReads
}

/** A process has one world, a simulation one for each of its nodes. */
const known = new WeakMap<World, Tools>()
let lastWorld: World | undefined
let lastTools: Tools | undefined

function toolsOf(world: World): Tools {
  if (world === lastWorld && lastTools !== undefined) return lastTools
  let tools = known.get(world)
  if (tools === undefined) {
    tools = { apply: new EtcdApply(world), reads: new EtcdReads(world) }
    known.set(world, tools)
  }
  lastWorld = world
  lastTools = tools
  return tools
}
