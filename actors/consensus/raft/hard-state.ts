/** What a Raft node must not forget: its term, its vote in it, and that the cluster has formed. */
import { readUint64, writeUint64 } from '../entry.ts'
import { invariant } from '../invariant.ts'

export interface HardState {
  readonly epoch: number
  readonly votedFor: number
  readonly formed: boolean
}

const hardStateFormat = 1
const hardStateBytes = 14

/** u8 format, u8 formed, u64 epoch, u32 voted for. */
export function encodeHardState(state: HardState): Uint8Array {
  const bytes = new Uint8Array(hardStateBytes)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, hardStateFormat)
  view.setUint8(1, state.formed ? 1 : 0)
  writeUint64(view, 2, state.epoch)
  view.setUint32(10, state.votedFor, true)
  return bytes
}

export function decodeHardState(bytes: Uint8Array): HardState {
  if (bytes.length === 0) return { epoch: 0, votedFor: 0, formed: false }
  invariant(bytes.length === hardStateBytes, 'hard state has its length')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  invariant(view.getUint8(0) === hardStateFormat, 'hard state has a format that is known here')
  return {
    formed: view.getUint8(1) === 1,
    epoch: readUint64(view, 2),
    votedFor: view.getUint32(10, true),
  }
}
