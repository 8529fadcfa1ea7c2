import type { Context } from '../../runtime/actor.ts'
import type { StateMessage } from './messages.ts'
import type { Replica } from './replica.ts'
export interface CheckpointSetup {
  readonly directory: string
  readonly everyBytes: number
}
export class CheckpointDriver {
  constructor(_context: Context<StateMessage>, _replica: Replica, _setup: CheckpointSetup) {}
  applied(_bytes: number): void {}
  tick(): void {}
  install(_from: string): void {}
}
