/** What one command or read works with, reused for all of one world. */
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import type { World } from './world.ts'
import { done, endlessSlice, type Slice, type Steps } from './slices.ts'
import { Answer } from './zookeeper-answers.ts'
import { CommandHeader } from './zookeeper-commands.ts'
import { TreeWrites } from './zookeeper-writes.ts'

export interface Work {
  readonly world: World
  readonly header: CommandHeader
  readonly reader: JuteReader
  readonly answer: Answer
  readonly writes: TreeWrites
  /** Of a multi: they gather here, since a later failure voids them. */
  readonly results: JuteWriter
}

export function createWork(world: World): Work {
  return {
    world,
    header: new CommandHeader(),
    reader: new JuteReader(),
    answer: new Answer(),
    writes: new TreeWrites(world.tree, world.space),
    results: new JuteWriter(),
  }
}

/** Everything that changed becomes visible: the zxid, then events, and the reply may follow. */
export function settle(work: Work): void {
  const { world, writes, answer } = work
  world.numbers.zxid = writes.zxid
  answer.zxid = writes.zxid
  tellChanges(work)
}

/** What a command that cannot fail any more has changed so far. */
export function tellChanges({ world, writes }: Work): void {
  if (writes.changes.length === 0) return
  for (const change of writes.changes) world.emitter.emit(change)
  writes.changes = []
}

/** At once, unless it is long. */
export function unlessLong(
  { world }: Work,
  isLong: boolean,
  steps: (slice: Pick<Slice, 'spent'>) => Steps,
): Steps | undefined {
  if (isLong && world.slices !== undefined) return steps(world.slices.slice)
  done(steps(endlessSlice))
  return undefined
}
