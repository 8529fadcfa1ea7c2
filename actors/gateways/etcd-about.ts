/** Calls about the node and the cluster: status, members, whether users exist, gRPC health. */
import { writeAuthDisabled } from '../../transport/etcd/messages/auth.ts'
import { decodeMemberList, writeMembers } from '../../transport/etcd/messages/cluster.ts'
import { type Failure, failure } from '../../transport/etcd/messages/failures.ts'
import {
  decodeHealthCheck,
  healthStatus,
  writeHealth,
  writeHealthList,
} from '../../transport/etcd/messages/health.ts'
import { noSpaceText, writeStatus } from '../../transport/etcd/messages/maintenance.ts'
import { etcdRead, stateNumbers } from '../state/etcd-commands.ts'
import type { EtcdDoor } from './etcd-door.ts'
import type { LinearReads } from './etcd-linear-reads.ts'
import { etcdMembers } from './etcd-members.ts'
import { method } from './etcd-methods.ts'
import type { StateReads } from './etcd-state-reads.ts'

export class About {
  readonly #door: EtcdDoor
  readonly #reads: StateReads
  readonly #linear: LinearReads

  constructor(door: EtcdDoor, reads: StateReads, linear: LinearReads) {
    this.#door = door
    this.#reads = reads
    this.#linear = linear
  }

  /** The door's reader stands on the call's message. */
  serve(connection: number, call: number, which: number): Failure | undefined {
    switch (which) {
      case method.memberList:
        return this.#memberList(connection, call)
      case method.status:
        this.#reads.own(etcdRead.status, body => this.#status(connection, call, body))
        return undefined
      case method.authenticate:
        // Clients that were given a user and a password go on without once they read this.
        return failure.authNotEnabled
      case method.authStatus:
        this.#reads.own(etcdRead.header, header => this.#authStatus(connection, call, header))
        return undefined
      default:
        return this.#health(connection, call, which)
    }
  }

  #memberList(connection: number, call: number): undefined {
    const ready = (position: number): void => {
      const tag = this.#reads.expect((membership, failed) => {
        if (failed === undefined) this.#answerMembers(connection, call, membership)
        else this.#door.fail(connection, call, failed)
      })
      this.#reads.ownAt(etcdRead.members, position, tag)
    }
    if (decodeMemberList(this.#door.reader).linearizable) {
      const startMillis = this.#door.nowMillis
      this.#linear.add({ connection, call, startMillis, request: undefined, ready })
    } else ready(0)
  }

  #answerMembers(connection: number, call: number, membership: Uint8Array): void {
    const { header, server, setup, epoch } = this.#door
    const writer = this.#door.writer.begin(1024)
    // The cluster's answers show no revision.
    header.write(writer, 0, epoch)
    writeMembers(writer, etcdMembers(setup, membership))
    server.reply(connection, call, writer.finish())
  }

  #authStatus(connection: number, call: number, header: Uint8Array): void {
    const writer = this.#door.writer.begin(header.length + 16)
    writer.raw(header)
    writeAuthDisabled(writer)
    this.#door.server.reply(connection, call, writer.finish())
  }

  #status(connection: number, call: number, body: Uint8Array): void {
    const { setup, server, leader, epoch } = this.#door
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    const position = view.getFloat64(stateNumbers.position, true)
    const headerAt = stateNumbers.bytes + view.getFloat64(stateNumbers.membershipBytes, true)
    const members = etcdMembers(setup, body.subarray(stateNumbers.bytes, headerAt))
    const errors = leader === 0 ? [failure.noLeader.text] : []
    const isFull = view.getFloat64(stateNumbers.full, true) === 1 || this.#door.spaceLevel > 0
    if (isFull) errors.push(noSpaceText(setup.memberId))
    const writer = this.#door.writer.begin(512)
    writer.raw(body, headerAt, body.length - headerAt)
    writeStatus(writer, {
      sizeBytes: view.getFloat64(stateNumbers.sizeBytes, true),
      sizeInUseBytes: view.getFloat64(stateNumbers.sizeInUseBytes, true),
      sizeQuotaBytes: view.getFloat64(stateNumbers.quotaBytes, true),
      leaderId: members.find(member => member.node === leader)?.id ?? 0n,
      position,
      appliedPosition: position,
      epoch,
      errors,
      isLearner: members.find(member => member.node === setup.node)?.isLearner ?? false,
    })
    server.reply(connection, call, writer.finish())
  }

  #health(connection: number, call: number, which: number): Failure | undefined {
    const { server } = this.#door
    const writer = this.#door.writer.begin(32)
    if (which === method.healthList) {
      writeHealthList(writer, healthStatus.serving)
      server.reply(connection, call, writer.finish())
      return undefined
    }
    const known = decodeHealthCheck(this.#door.reader).service === ''
    if (!known && which === method.healthCheck) return failure.unknownService
    writeHealth(writer, known ? healthStatus.serving : healthStatus.serviceUnknown)
    if (which === method.healthCheck) server.reply(connection, call, writer.finish())
    // A watch stays open: there is nothing that would change the status.
    else server.send(connection, call, writer.finish())
    return undefined
  }
}
