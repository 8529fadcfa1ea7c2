/** The ZooKeeper face of the state machine: what the state actor calls. */
import type { Face, World } from './world.ts'
import { left } from './slices.ts'
import { applyCommand, refuseCommand } from './zookeeper-apply.ts'
import { runRead } from './zookeeper-reads.ts'
import { expireSession } from './zookeeper-sessions.ts'
import { createWork, type Work } from './zookeeper-work.ts'

export const zookeeperFace: Face = {
  apply: (world, command) => left(world, applyCommand(workOf(world), command)),
  refuse: (world, command) => refuseCommand(workOf(world), command),
  read: (world, read) => left(world, runRead(workOf(world), read)),
  expire: (world, command, ended) => left(world, expireSession(workOf(world), command, ended)),
}

/** Buffers and caches, nothing that is replicated. A thread has one world, except in the simulator. */
const works = new WeakMap<World, Work>()
let last: Work | undefined

function workOf(world: World): Work {
  if (last?.world === world) return last
  let work = works.get(world)
  if (work === undefined) {
    work = createWork(world)
    works.set(world, work)
  }
  last = work
  return work
}
