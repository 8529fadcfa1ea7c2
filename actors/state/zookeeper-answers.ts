/** Reply frames as the state machine builds them, and the parts they are made of. */
import type { Tree, Znode } from '../../storage/tree.ts'
import { beginReply, headerReply, replyHeaderBytes } from '../../transport/zookeeper/headers.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { statBytes } from '../../transport/zookeeper/stat.ts'
import type { Emitter } from './world.ts'
import { replyStatus } from './zookeeper-commands.ts'

/** Where an answer goes; filled anew for each command or read. */
export class Answer {
  readonly writer = new JuteWriter()
  emitter: Emitter | undefined
  stream = 0
  connection = 0
  xid = 0
  sequence = 0
  zxid = 0
  /** Someone waits for it here. */
  wanted = false
  /** How long it may be. */
  roomBytes = 0
  /** What it would take, where that is more. */
  neededBytes = 0

  /** False: with a body of so many bytes it would be too long, and is not to be made. */
  fits(bodyBytes: number): boolean {
    const bytes = replyHeaderBytes + bodyBytes
    if (bytes <= this.roomBytes) return true
    this.neededBytes = bytes
    return false
  }

  /** A header alone. */
  error(code: number, status: number = replyStatus.send): void {
    if (!this.wanted) return
    this.#send(status, headerReply(this.writer, this.xid, this.zxid, code))
  }

  /** With a body of so many bytes, where it may be long. */
  begin(bodyBytes = 0): JuteWriter {
    this.writer.prepare(replyHeaderBytes + bodyBytes)
    beginReply(this.writer, this.xid, this.zxid, 0)
    return this.writer
  }

  finish(status: number = replyStatus.send): void {
    this.#send(status, this.writer.finishFrame())
  }

  /** What the gateway needs to know; nothing that a client sees as it is. */
  notice(status: number, body: Uint8Array): void {
    if (this.wanted) this.#send(status, body)
  }

  #send(status: number, body: Uint8Array): void {
    const { stream, connection, xid, sequence } = this
    this.emitter?.reply(stream, connection, xid, sequence, status, body)
  }
}

export function writeStat(writer: JuteWriter, tree: Tree, node: Znode): void {
  writer.reserve(statBytes)
  writer.long(tree.czxid(node))
  writer.long(tree.mzxid(node))
  writer.long(tree.ctime(node))
  writer.long(tree.mtime(node))
  writer.int(tree.version(node))
  writer.int(tree.cversion(node))
  writer.int(tree.aversion(node))
  writer.int(tree.ownerHigh(node))
  writer.int(tree.ownerLow(node))
  writer.int(Math.max(0, tree.dataLength(node)))
  writer.int(tree.childCount(node))
  writer.long(tree.pzxid(node))
}

export function writeData(writer: JuteWriter, tree: Tree, node: Znode): void {
  const length = tree.dataLength(node)
  if (length < 0) writer.int(-1)
  else writer.span(tree.bytes(node), tree.dataOffset(node), length)
}
