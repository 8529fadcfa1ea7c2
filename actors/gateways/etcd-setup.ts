/** What the etcd gateway is given. */
import type { ListenOptions } from '../../runtime/host.ts'
import type { Telemetry } from '../../runtime/telemetry.ts'
import type { EtcdServerLimits } from '../../transport/etcd/limits.ts'
import type { Member } from '../../transport/etcd/messages/cluster.ts'

export interface EtcdSetup {
  readonly node: number
  readonly incarnation: number
  readonly listen: ListenOptions
  /** 8 bytes each, big-endian. */
  readonly clusterId: Uint8Array
  readonly memberId: Uint8Array
  /** As configured: what a membership does not say of its members. */
  readonly members: readonly EtcdMember[]
  /** One that is in no configuration here; reached by its peers at `peer`, by clients at `etcd`. */
  readonly unknownMember: (node: number, peer: string, etcd?: string) => EtcdMember
  readonly proposalsMax: number
  readonly proposalBytesMax: number
  readonly resendMillis: number
  readonly electionMillis: number
  /** How long a call may wait for the cluster. */
  readonly requestTimeoutMillis: number
  /** etcd's max-request-bytes. */
  readonly requestBytesMax: number
  /** Answers in memory that clients have not taken, or that are being made for them. */
  readonly answerBytesMax: number
  /** A lease lives at least this long. */
  readonly leaseTtlSecondsMin: number
  readonly serverLimits?: Partial<EtcdServerLimits>
  /** How often this gateway was started before in this process; default 0. */
  readonly generation?: number
  readonly telemetry?: Telemetry
}

export interface EtcdMember extends Member {
  readonly node: number
}
