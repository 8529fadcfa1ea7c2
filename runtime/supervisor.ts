/**
 * Erlang's supervision. A failure restarts one child, it and those started after it, or all of the
 * parent's children; they stop in reverse order and start in order. More than `intensity` restarts
 * within the period make it a failure of the parent; that of a root is the system's.
 */
import type { Supervision } from './actor.ts'
import type { Cell } from './cell.ts'
import { limits } from './limits.ts'
import type { System } from './system.ts'

type Restart = Extract<Supervision, { kind: 'restart' }>

export class Supervisor {
  readonly #system: System

  constructor(system: System) {
    this.#system = system
  }

  failed(cell: Cell, error: Error): void {
    const { parent, supervision, system } = cell
    if (cell.state === 'stopped') return
    if (parent === undefined) {
      system.rootFailed(cell.name, error)
      return
    }
    const restarts = supervision.kind === 'restart' ? this.#countRestart(parent, supervision) : 0
    if (supervision.kind === 'escalate' || restarts > supervision.intensity) {
      this.#escalate(cell, parent, error)
      return
    }
    const group = restartGroup(parent, cell, supervision)
    const delayMillis = backoffMillis(supervision, restarts)
    system.log.warn('An actor has failed and is restarted', {
      actor: cell.name,
      with: group.length - 1,
      restarts,
      delayMillis,
      error,
    })
    for (const member of group.toReversed()) this.#end(member, 'waiting')
    if (delayMillis === 0) this.#startAll(group)
    else this.#startLater(parent, group, delayMillis)
  }

  /** Children first, in reverse order of their start. */
  stop(cell: Cell): void {
    if (cell.state === 'stopped') return
    this.#end(cell, 'stopped')
    this.#system.forget(cell)
    const siblings = cell.parent?.children
    if (siblings?.includes(cell)) siblings.splice(siblings.indexOf(cell), 1)
  }

  #escalate(cell: Cell, parent: Cell, error: Error): void {
    cell.system.log.error('An actor has failed for good', { actor: cell.name, error })
    this.stop(cell)
    if (parent === this.#system.root) this.#system.rootFailed(cell.name, error)
    else {
      parent.state = 'waiting'
      this.failed(parent, error)
    }
  }

  #end(cell: Cell, next: 'waiting' | 'stopped'): void {
    // A child that is told to stop while it waits for its restart must not come back.
    for (const child of cell.children.splice(0).reverse()) {
      this.#end(child, 'stopped')
      this.#system.forget(child)
    }
    cell.restartMillis = []
    cell.end(next)
  }

  #countRestart(parent: Cell, supervision: Restart): number {
    const now = this.#system.host.clock.monotonicMillis()
    const since = now - supervision.periodMillis
    parent.restartMillis = parent.restartMillis.filter(millis => millis > since)
    parent.restartMillis.push(now)
    return parent.restartMillis.length
  }

  #startLater(parent: Cell, group: Cell[], delayMillis: number): void {
    this.#system.host.timers.after(delayMillis, () => {
      if (parent.state !== 'stopped') this.#system.dispatcher.urgent(() => this.#startAll(group))
    })
  }

  #startAll(group: Cell[]): void {
    for (const member of group) if (member.state === 'waiting') member.start()
  }
}

function restartGroup(parent: Cell, failed: Cell, supervision: Restart): Cell[] {
  const { children } = parent
  if (supervision.strategy === 'oneForOne') return [failed]
  if (supervision.strategy === 'oneForAll') return [...children]
  return children.slice(children.indexOf(failed))
}

function backoffMillis(supervision: Restart, restarts: number): number {
  return Math.min(supervision.backoffMillis * 2 ** (restarts - 1), limits.backoffMillisMax)
}
