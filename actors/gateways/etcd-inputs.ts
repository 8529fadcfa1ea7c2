/** What came in on the port, noted down in its callbacks and taken in the actor's turn. */
import type { CallHead, EtcdHandler, HttpRequest, HttpResponse } from '../../transport/etcd/api.ts'

export type Input =
  | InputOf<'call', { readonly head: CallHead; readonly message: Uint8Array }>
  | InputOf<'opened', { readonly head: CallHead }>
  | InputOf<'message', { readonly message: Uint8Array }>
  | InputOf<'halfClosed'>
  | InputOf<'cancelled'>
  | InputOf<'drained'>
  | InputOf<'eased'>
  | InputOf<'connectionClosed'>
  | InputOf<
      'http',
      { readonly request: HttpRequest; readonly answer: (response: HttpResponse) => void }
    >

type InputOf<Kind extends string, More = object> = {
  readonly kind: Kind
  readonly connection: number
  /** The HTTP/2 stream; 0 where it is about a connection. */
  readonly call: number
} & More

export class EtcdInputs implements EtcdHandler {
  readonly #wake: () => void
  #inputs: Input[] = []

  /** `wake` is called when there is something to take where there was nothing. */
  constructor(wake: () => void) {
    this.#wake = wake
  }

  take(): Input[] {
    const taken = this.#inputs
    this.#inputs = []
    return taken
  }

  call(connection: number, call: number, head: CallHead, message: Uint8Array): void {
    this.#add({ kind: 'call', connection, call, head, message })
  }

  opened(connection: number, call: number, head: CallHead): void {
    this.#add({ kind: 'opened', connection, call, head })
  }

  message(connection: number, call: number, message: Uint8Array): void {
    this.#add({ kind: 'message', connection, call, message })
  }

  halfClosed(connection: number, call: number): void {
    this.#add({ kind: 'halfClosed', connection, call })
  }

  cancelled(connection: number, call: number): void {
    this.#add({ kind: 'cancelled', connection, call })
  }

  drained(connection: number, call: number): void {
    this.#add({ kind: 'drained', connection, call })
  }

  eased(): void {
    this.#add({ kind: 'eased', connection: 0, call: 0 })
  }

  connectionClosed(connection: number): void {
    this.#add({ kind: 'connectionClosed', connection, call: 0 })
  }

  http(request: HttpRequest, answer: (response: HttpResponse) => void): void {
    this.#add({ kind: 'http', connection: 0, call: 0, request, answer })
  }

  #add(input: Input): void {
    this.#inputs.push(input)
    if (this.#inputs.length === 1) this.#wake()
  }
}
