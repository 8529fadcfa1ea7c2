import type { Writer } from './writer.ts'

/*
 * AuthenticateRequest: name=1 string; password=2 string
 * AuthStatusResponse: header=1; enabled=2 bool; authRevision=3 uint64
 */

/** What counts the changes of users and roles in etcd begins at 1; there are none. */
const authRevision = 1

/** After the header: users and roles are off. */
export function writeAuthDisabled(writer: Writer): void {
  writer.number(0x18, authRevision)
}
