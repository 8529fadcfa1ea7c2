/**
 * What it takes to undo the changes of one command: the steps, in order, as numbers in three parallel
 * arrays. Records nothing unless it was begun.
 */
import { invariant } from '../runtime/invariant.ts'

export const undoStep = {
  added: 0,
  removed: 1,
  replaced: 2,
  aclRetained: 3,
  aclReleased: 4,
} as const

export class UndoLog {
  #active = false
  #steps: number[] = []
  #ids: number[] = []
  #pointers: number[] = []

  get active(): boolean {
    return this.#active
  }

  begin(): void {
    invariant(!this.#active, 'a section that can be undone is not begun within another')
    this.#active = true
  }

  note(step: number, id: number, pointer: number): void {
    if (!this.#active) return
    this.#steps.push(step)
    this.#ids.push(id)
    this.#pointers.push(pointer)
  }

  commit(): void {
    this.#active = false
    this.#steps.length = this.#ids.length = this.#pointers.length = 0
  }

  /** Undoes the steps, the latest first. */
  rollback(undo: (step: number, id: number, pointer: number) => void): void {
    invariant(this.#active, 'a rollback follows a begin')
    this.#active = false
    for (let index = this.#steps.length - 1; index >= 0; index--) {
      undo(this.#steps[index]!, this.#ids[index]!, this.#pointers[index]!)
    }
    this.commit()
  }
}
