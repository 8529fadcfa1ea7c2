/** What one command or read works with, reused for all of one world. */
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import type { World } from './world.ts'
import { Answer } from './zookeeper-answers.ts'
import { CommandHeader } from './zookeeper-commands.ts'
import { TreeWrites } from './zookeeper-writes.ts'

export interface Work {
  readonly world: World
  readonly header: CommandHeader
  readonly reader: JuteReader
  readonly answer: Answer
  readonly writes: TreeWrites
}

export function createWork(world: World): Work {
  return {
    world,
    header: new CommandHeader(),
    reader: new JuteReader(),
    answer: new Answer(),
    writes: new TreeWrites(world.tree, world.space),
  }
}

/** Everything that changed becomes visible: the zxid, then events, and the reply may follow. */
export function settle(work: Work): void {
  const { world, writes, answer } = work
  world.numbers.zxid = writes.zxid
  answer.zxid = writes.zxid
  if (writes.changes.length === 0) return
  for (const change of writes.changes) world.emitter.emit(change)
  writes.changes = []
}
