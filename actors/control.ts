/**
 * Questions that every actor answers, and where the answers go: the node's own actor on the main
 * thread, or another that asked. Answers are JSON: they are for people and metrics, not for speed.
 */
import { defineProtocol } from '../runtime/protocol.ts'
import type { ConsensusNotice } from './consensus/messages.ts'

export interface StatusQuestion {
  readonly kind: 'status'
  readonly replyTo: string
  readonly id: number
}

export interface StatusAnswer {
  readonly kind: 'statusAnswer'
  readonly from: string
  readonly id: number
  readonly json: string
}

export type ControlMessage =
  | StatusAnswer
  | Extract<ConsensusNotice, { kind: 'readReady' | 'readFailed' }>
  | { readonly kind: 'barrierReached'; readonly id: number }
  /** Answered to the etcd gateway by `metricsText`. */
  | { readonly kind: 'metricsQuestion'; readonly id: number }
  /** An operator asked node `from`; only the leader can do it. `asked` is an AskedChange as JSON. */
  | {
      readonly kind: 'memberChange'
      readonly from: number
      readonly id: number
      readonly asked: string
    }
  | { readonly kind: 'memberChangeDone'; readonly id: number; readonly error: string }
  /** A committed change of the membership has removed this node. */
  | { readonly kind: 'removed' }
  /** How a `transfer` or `changeMembership` ended; `error` is empty where it succeeded. */
  | { readonly kind: 'done'; readonly id: number; readonly error: string }

export const controlProtocol = defineProtocol<ControlMessage>(
  'control',
  {
    readReady: { id: 'long', position: 'long' },
    readFailed: { id: 'long' },
    barrierReached: { id: 'long' },
    metricsQuestion: { id: 'long' },
    statusAnswer: { from: 'string', id: 'long', json: 'string' },
    removed: {},
    done: { id: 'long', error: 'string' },
    memberChange: { from: 'int', id: 'long', asked: 'string' },
    memberChangeDone: { id: 'long', error: 'string' },
  },
  // All else answers a question, which ends in time without it.
  { reserved: ['removed', 'metricsQuestion'] },
)
