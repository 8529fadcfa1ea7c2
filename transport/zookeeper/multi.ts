/**
 * multi request:  repeat { int type, boolean done = 0, int err = -1, the operation's own record },
 *                 then { -1, 1, -1 }.
 * multi response: repeat { type, 0, 0, result }, then { -1, 1, -1 }. When one failed, every operation
 *                 gets { -1, 0, err } and int err: 0 before the failing one, its code, -2 after it.
 */
import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'
import { errorCode } from './errors.ts'
import { operation } from './operations.ts'

/** The type of the next operation, `undefined` at the end of the list. */
export function decodeMultiHeader(reader: JuteReader): number | undefined {
  const type = reader.int()
  const done = reader.boolean()
  reader.int()
  return done ? undefined : type
}

export function encodeMultiHeader(writer: JuteWriter, type: number): void {
  writeHeader(writer, type, false, -1)
}

export function encodeMultiEnd(writer: JuteWriter): void {
  writeHeader(writer, -1, true, -1)
}

/** Before the result of one operation that went well. */
export function encodeMultiResult(writer: JuteWriter, type: number): void {
  writeHeader(writer, type, false, 0)
}

/** All results of a multi whose operation `failedIndex` failed with `error`. */
export function encodeMultiFailure(
  writer: JuteWriter,
  count: number,
  failedIndex: number,
  error: number,
): void {
  for (let index = 0; index < count; index += 1) {
    const code =
      index < failedIndex ? 0 : index === failedIndex ? error : errorCode.runtimeInconsistency
    writeHeader(writer, operation.error, false, code)
    writer.int(code)
  }
  encodeMultiEnd(writer)
}

function writeHeader(writer: JuteWriter, type: number, done: boolean, error: number): void {
  writer.int(type)
  writer.boolean(done)
  writer.int(error)
}
