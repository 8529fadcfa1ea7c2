import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/*
 * StatusRequest: (no fields)
 * StatusResponse: header=1; version=2 string; dbSize=3 int64; leader=4 uint64; raftIndex=5 uint64;
 *   raftTerm=6 uint64; raftAppliedIndex=7 uint64; errors=8 repeated string; dbSizeInUse=9 int64;
 *   isLearner=10 bool; storageVersion=11 string; dbSizeQuota=12 int64; downgradeInfo=13
 *   { enabled=1 bool; targetVersion=2 string }
 * AlarmRequest: action=1 (GET=0, ACTIVATE=1, DEACTIVATE=2); memberID=2 uint64; alarm=3 AlarmType
 * AlarmResponse: header=1; alarms=2 repeated AlarmMember { memberID=1 uint64; alarm=2 AlarmType }
 */

/** The release whose behaviour the etcd door has. Clients parse it: digits and dots alone. */
export const etcdVersion = '3.6.14'
export const etcdClusterVersion = '3.6.0'
export const etcdStorageVersion = '3.6.0'

export interface Status {
  readonly sizeBytes: number
  readonly sizeInUseBytes: number
  readonly sizeQuotaBytes: number
  /** 0: none. */
  readonly leaderId: bigint
  readonly position: number
  readonly appliedPosition: number
  readonly epoch: number
  readonly errors: readonly string[]
  readonly isLearner: boolean
}

/** After the header. */
export function writeStatus(writer: Writer, status: Status): void {
  writer.text(0x12, etcdVersion)
  writer.number(0x18, status.sizeBytes)
  writer.bigint(0x20, status.leaderId)
  writer.number(0x28, status.position)
  writer.number(0x30, status.epoch)
  writer.number(0x38, status.appliedPosition)
  for (const error of status.errors) writer.textElement(0x42, error)
  writer.number(0x48, status.sizeInUseBytes)
  writer.flag(0x50, status.isLearner)
  writer.text(0x5a, etcdStorageVersion)
  writer.number(0x60, status.sizeQuotaBytes)
  writer.close(writer.open(0x6a))
}

export const alarmAction = { get: 0, activate: 1, deactivate: 2 } as const
export const alarmType = { none: 0, noSpace: 1, corrupt: 2 } as const

export interface AlarmRequest {
  action: number
  alarm: number
}

/** Whose alarm it is does not matter here: all members hold the same state. */
export function decodeAlarm(reader: Reader): AlarmRequest {
  const request: AlarmRequest = { action: 0, alarm: 0 }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x08) request.action = reader.choice()
    else if (tag === 0x10) reader.number()
    else if (tag === 0x18) request.alarm = reader.choice()
    else reader.skip(tag, ['Action', 'MemberID', 'Alarm'])
  }
  return request
}

/** `member`: 8 bytes, big-endian. */
export function writeNoSpaceAlarm(writer: Writer, member: Uint8Array): void {
  const mark = writer.open(0x12)
  writer.bigint(0x08, memberNumber(member))
  writer.number(0x10, alarmType.noSpace)
  writer.close(mark)
}

/** As Status lists an alarm among its errors. */
export function noSpaceText(member: Uint8Array): string {
  return `memberID:${memberNumber(member)} alarm:NOSPACE `
}

function memberNumber(member: Uint8Array): bigint {
  return new DataView(member.buffer, member.byteOffset, 8).getBigUint64(0)
}
