/** What all parts of the etcd gateway share: the port, what is known of the cluster, tools. */
import type { EtcdServer } from '../../transport/etcd/api.ts'
import type { Failure } from '../../transport/etcd/messages/failures.ts'
import { HeaderEncoder } from '../../transport/etcd/messages/header.ts'
import { Reader } from '../../transport/etcd/messages/reader.ts'
import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'
import type { EtcdSetup } from './etcd-setup.ts'

export class EtcdDoor {
  readonly setup: EtcdSetup
  readonly server: EtcdServer
  readonly header: HeaderEncoder
  readonly reader = new Reader()
  readonly rooms = new OwnRooms()
  readonly writer = new Writer(this.rooms)
  /** Monotonic; as of the last input, notice or tick. */
  nowMillis: number
  /** 0: none known. */
  leader = 0
  /** Since when none is known, where none is. */
  leaderLostMillis: number
  epoch = 0
  /** Of the nodes' disks, as consensus says (consensus/shell/disk-space.ts). */
  spaceLevel = 0
  /** And nobody can tell which is right (actors/state/state-difference.ts). */
  statesDiffer = false

  constructor(setup: EtcdSetup, server: EtcdServer, nowMillis: number) {
    this.setup = setup
    this.server = server
    this.nowMillis = nowMillis
    this.leaderLostMillis = nowMillis
    this.header = new HeaderEncoder(setup.clusterId, setup.memberId)
  }

  /**
   * For calls that require a leader. An election under way is no lack of one: clients whose node led
   * and died are here before it is over, and clientv3 gives a refused watch up for good.
   */
  get lacksLeader(): boolean {
    const graceMillis = 3 * this.setup.electionMillis
    return this.leader === 0 && this.nowMillis - this.leaderLostMillis >= graceMillis
  }

  fail(connection: number, call: number, failed: Failure): void {
    this.server.fail(connection, call, failed.code, failed.text)
  }
}
