import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/*
 * MemberListRequest: linearizable=1 bool
 * MemberListResponse: header=1; members=2 repeated Member
 * Member: ID=1 uint64; name=2 string; peerURLs=3 repeated string; clientURLs=4 repeated string;
 *   isLearner=5 bool
 */
export interface Member {
  readonly id: bigint
  readonly name: string
  readonly peerUrls: readonly string[]
  readonly clientUrls: readonly string[]
  readonly isLearner: boolean
}

export function decodeMemberList(reader: Reader): { linearizable: boolean } {
  const request = { linearizable: false }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x08) request.linearizable = reader.flag()
    else reader.skip(tag, ['Linearizable'])
  }
  return request
}

/** After the header. */
export function writeMembers(writer: Writer, members: readonly Member[]): void {
  for (const member of members) {
    const mark = writer.open(0x12)
    writer.bigint(0x08, member.id)
    writer.text(0x12, member.name)
    for (const url of member.peerUrls) writer.textElement(0x1a, url)
    for (const url of member.clientUrls) writer.textElement(0x22, url)
    writer.flag(0x28, member.isLearner)
    writer.close(mark)
  }
}
