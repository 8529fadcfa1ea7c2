/** Sessions that were heard of lately, told to the sessions actor in batches (DESIGN.md D10). */
import type { Ref } from '../../runtime/actor.ts'
import type { SessionsMessage } from '../sessions/messages.ts'
import type { Connection } from './zookeeper-connection.ts'

export class Touches {
  readonly #sessions: Ref<SessionsMessage>
  readonly #periodMillis: number
  #touched: Connection[] = []
  #toldMillis = 0

  constructor(sessions: Ref<SessionsMessage>, periodMillis: number) {
    this.#sessions = sessions
    this.#periodMillis = periodMillis
  }

  add(connection: Connection): void {
    if (connection.touched) return
    connection.touched = true
    this.#touched.push(connection)
  }

  tick(nowMillis: number): void {
    if (this.#touched.length === 0 || nowMillis - this.#toldMillis < this.#periodMillis) return
    this.#toldMillis = nowMillis
    const ids = new Uint8Array(this.#touched.length * 8)
    const view = new DataView(ids.buffer)
    for (const [index, connection] of this.#touched.entries()) {
      connection.touched = false
      view.setBigInt64(index * 8, connection.session)
    }
    this.#touched = []
    this.#sessions.tell({ kind: 'touched', ids })
  }
}
