/**
 * The one dispatcher of events (DESIGN.md D8): takes the state machine's ordered stream, tells each
 * watching connection what changed, and passes replies on behind the events that they show. One-shot
 * znode watches and streaming key watches each have their own index.
 */
import type { Context, Definition, Ref } from '../../runtime/actor.ts'
import { unreachable } from '../../runtime/invariant.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { observeCounters, observeGauges } from '../../runtime/observe.ts'
import { type Telemetry, telemetryOff } from '../../runtime/telemetry.ts'
import type { StatusAnswer } from '../control.ts'
import { directory } from '../directory.ts'
import type { GatewayMessage } from '../gateways/messages.ts'
import { encodeHistoryRequest } from '../state/etcd-commands.ts'
import { HeldMail } from '../state/held-mail.ts'
import { doorOf, roomUnlimited, stream } from '../state/messages.ts'
import { done, Slice, type SliceSetup, type Steps } from '../state/slices.ts'
import { EventTraces } from './event-traces.ts'
import { fanOutDefaults, heldMessagesMax } from './fan-out.ts'
import { KeyWatches } from './key-watches.ts'
import type {
  KeysChanged,
  KeyStream,
  ReplyMessage,
  WatchesMessage,
  ZnodeChanged,
} from './messages.ts'
import { ZnodeWatches } from './znode-watches.ts'

export interface WatchesSetup {
  /** etcd's header fields, 8 bytes each, big-endian. */
  readonly clusterId: Uint8Array
  readonly memberId: Uint8Array
  /** A key watch that asked for progress and had no events hears of it this often. */
  readonly progressMillis: number
  /** Events that etcd's clients have not taken: of all together; one connection may have a quarter of it. */
  readonly eventBytesMax?: number
  /** How long a slice of a fan-out is. */
  readonly slice?: SliceSetup
  readonly telemetry?: Telemetry
}

const tickMillis = 100

export const watchesActor: Definition<WatchesMessage, WatchesSetup> = {
  ...directory.watches,
  // One position may release all the reads that wait for it.
  mailboxMessagesMax: 4_194_304,
  start(context, setup) {
    const watches = new Watches(context, setup)
    context.every(tickMillis, { kind: 'tick' })
    context.onRoundEnd(() => watches.endRound())
    return message => watches.handle(message)
  },
}

class Watches {
  readonly #context: Context<WatchesMessage>
  readonly #zookeeper: Ref<GatewayMessage>
  readonly #etcd: Ref<GatewayMessage>
  readonly #znodes: ZnodeWatches
  readonly #keys: KeyWatches
  readonly #traces: EventTraces | undefined
  /** Sent to ZooKeeper's clients so far. */
  #znodeEvents = 0
  #registrations = 0
  /** Whether the state machine has been told that nobody watches. */
  #znodesIdle = true
  #keysIdle = true
  #eventsWait = false
  readonly #slice: Slice
  /** The rest of what is in hand. */
  #steps: Steps | undefined
  /** What came since: it waits in its order. */
  readonly #held = new HeldMail<WatchesMessage>()
  /** Until then what comes waits: the thread has to have its turn. */
  #isGoingOn = false
  #isTakingHeld = false
  #tickIsHeld = false

  constructor(context: Context<WatchesMessage>, setup: WatchesSetup) {
    this.#context = context
    this.#zookeeper = context.find<GatewayMessage>(directory.zookeeper)
    this.#etcd = context.find<GatewayMessage>(directory.etcd)
    const slice = setup.slice ?? fanOutDefaults
    this.#slice = new Slice(context.host.clock, slice)
    const slices = { slice: this.#slice, unslicedMax: slice.unslicedKeysMax }
    const event = (connection: number, body: Uint8Array): void => {
      this.#znodeEvents += 1
      this.#zookeeper.tell({ kind: 'event', connection, tag: 0, body })
    }
    this.#znodes = new ZnodeWatches({ event }, slices)
    const { tracing, metrics } = setup.telemetry ?? telemetryOff
    this.#traces = tracing.enabled ? new EventTraces(tracing) : undefined
    const state = context.find(directory.state)
    this.#keys = new KeyWatches({
      ...setup,
      slices,
      ...(setup.eventBytesMax === undefined
        ? {}
        : {
            room: {
              bytesMax: setup.eventBytesMax,
              connectionBytesMax: setup.eventBytesMax / 4,
            },
          }),
      send: (connection, tag, body) => this.#etcd.tell({ kind: 'event', connection, tag, body }),
      askHistory: (id, firstRevision, revisionsMax) => {
        const request = encodeHistoryRequest(firstRevision, revisionsMax)
        const about = { stream: stream.etcd, connection: 0, tag: id, after: 0, position: 0 }
        state.tell({ kind: 'read', ...about, roomBytes: roomUnlimited, request })
      },
    })
    this.#observe(metrics)
  }

  #observe(metrics: Metrics): void {
    observeGauges(metrics, [
      ['etcd_debugging_mvcc_watcher_total', 'Total number of watchers.', () => this.#keys.count],
      [
        'etcd_debugging_mvcc_watch_stream_total',
        'Total number of watch streams.',
        () => this.#keys.streamCount,
      ],
      [
        'etcd_debugging_mvcc_slow_watcher_total',
        'Total number of unsynced slow watchers.',
        () => this.#keys.slowCount,
      ],
      ['quorate_znode_watches', 'Watches of znodes.', () => this.#znodes.count],
    ])
    observeCounters(metrics, [
      [
        'etcd_debugging_mvcc_events_total',
        'Total number of events sent by this member.',
        () => this.#keys.eventCount,
      ],
      [
        'quorate_znode_events_total',
        'Watch events sent to ZooKeeper clients.',
        () => this.#znodeEvents,
      ],
    ])
  }

  handle(message: WatchesMessage): void {
    if (message.kind === 'goOn') this.#goOn()
    else if (message.kind === 'status') this.#answerStatus(message.replyTo, message.id)
    else if (this.#isGoingOn) this.#hold(message)
    else this.#take(message)
  }

  #take(message: WatchesMessage): void {
    switch (message.kind) {
      case 'reply':
        return this.#passOn(message)
      case 'znodeChanged':
        return this.#znodeChanged(message)
      case 'znodeWatch':
        this.#registrations += 1
        this.#znodesIdle = false
        return this.#znodes.register(message)
      case 'znodeWatches':
        this.#registrations += 1
        this.#znodesIdle = false
        return this.#znodes.registerAll(message)
      case 'znodeIdentities':
        return this.#znodes.identify(message.connection, message.identities)
      case 'keysChanged':
        return this.#keysChanged(message)
      case 'keyWatch':
        this.#registrations += 1
        this.#keysIdle = false
        return this.#begin(this.#keys.register(message))
      case 'keyHistory':
        return this.#begin(this.#keys.history(message))
      case 'keyStream':
        return this.#keyStream(message)
      case 'cause':
        this.#traces?.cause(message.trace)
        return
      case 'connectionClosed':
        return this.#begin(
          doorOf(message.stream) === stream.zookeeper
            ? this.#znodes.close(message.connection)
            : this.#keys.connectionClosed(message.connection),
        )
      case 'gatewayStarted':
        return this.#begin(
          doorOf(message.stream) === stream.zookeeper
            ? this.#znodes.closeAll()
            : this.#keys.closeAll(),
        )
      case 'eventsTaken':
        return this.#keys.taken(message.connections, message.bytes)
      case 'tick':
        return this.#tick()
      case 'goOn':
      case 'status':
        return
      default:
        return unreachable(message)
    }
  }

  /** In order behind what is in hand. */
  #hold(message: WatchesMessage): void {
    if (message.kind === 'tick') {
      if (this.#tickIsHeld) return
      this.#tickIsHeld = true
    }
    this.#held.push(message)
    if (this.#held.count > heldMessagesMax) this.#finishAll()
  }

  /** Takes on what may be long, and does its first slice; `then` comes right behind its end. */
  #begin(steps: Steps | undefined, then?: () => void): void {
    if (steps === undefined) return then?.()
    this.#steps = then === undefined ? steps : followed(steps, then)
    if (!this.#isTakingHeld) this.#slice.begin()
    this.#step()
    this.#goOnSoon()
  }

  #step(): void {
    if (this.#steps?.next().done === true) this.#steps = undefined
  }

  #goOnSoon(): void {
    if (this.#isGoingOn) return
    this.#isGoingOn = true
    // After the thread's other actors had their turn.
    this.#context.self.tell({ kind: 'goOn' })
  }

  #goOn(): void {
    this.#isGoingOn = false
    this.#slice.begin()
    this.#step()
    this.#isTakingHeld = true
    while (this.#steps === undefined && !this.#slice.spent(1)) {
      const message = this.#held.shift()
      if (message === undefined) break
      this.#take(message)
    }
    this.#isTakingHeld = false
    if (this.#steps !== undefined || !this.#held.isEmpty) this.#goOnSoon()
  }

  #finishAll(): void {
    this.#isTakingHeld = true
    for (;;) {
      if (this.#steps !== undefined) done(this.#steps)
      this.#steps = undefined
      const message = this.#held.shift()
      if (message === undefined) break
      this.#take(message)
    }
    this.#isTakingHeld = false
  }

  endRound(): void {
    if (this.#isGoingOn) return
    const steps = this.#keys.flush()
    if (steps === undefined) this.#flushed()
    else this.#begin(steps, () => this.#flushed())
  }

  #flushed(): void {
    this.#traces?.flushed()
    if (!this.#znodesIdle && this.#znodes.count === 0) this.#znodesIdle = this.#tellIdle(false)
    if (!this.#keysIdle && this.#keys.count === 0) this.#keysIdle = this.#tellIdle(true)
  }

  #tick(): void {
    this.#tickIsHeld = false
    this.#keys.tick(this.#context.host.clock.monotonicMillis())
    const waiting = this.#keys.isStarved
    if (waiting === this.#eventsWait) return
    this.#eventsWait = waiting
    this.#etcd.tell({ kind: 'eventsWait', waiting })
  }

  #znodeChanged(change: ZnodeChanged): void {
    const span = this.#traces?.begin()
    const before = this.#znodeEvents
    const steps = this.#znodes.changed(change)
    if (span === undefined) return this.#begin(steps)
    this.#begin(steps, () => this.#traces?.told(span, change.path, this.#znodeEvents - before))
  }

  #keysChanged(change: KeysChanged): void {
    const span = this.#traces?.begin()
    const before = this.#keys.eventCount
    const steps = this.#keys.changed(change)
    if (span === undefined) return this.#begin(steps)
    this.#begin(steps, () => {
      const told = this.#keys.eventCount - before
      this.#traces?.told(span, `revision ${change.revision}`, told)
    })
  }

  #passOn(reply: ReplyMessage): void {
    if (doorOf(reply.stream) === stream.zookeeper) return this.#zookeeper.tell(reply)
    const steps = this.#keys.hasStreams(reply.connection) ? this.#keys.flush() : undefined
    if (steps === undefined) this.#etcd.tell(reply)
    else this.#begin(steps, () => this.#etcd.tell(reply))
  }

  #keyStream({ connection, tag, change }: KeyStream): void {
    if (change === 'closed') this.#begin(this.#keys.streamClosed(connection, tag))
    else this.#keys.setHeld(connection, tag, change === 'held')
  }

  /** The state machine need not build events any more, unless a registration is on its way. */
  #tellIdle(keys: boolean): true {
    const registrations = this.#registrations
    this.#context.find(directory.state).tell({ kind: 'unwatched', keys, registrations })
    return true
  }

  #answerStatus(replyTo: string, id: number): void {
    const json = JSON.stringify({
      watches: this.#znodes.count + this.#keys.count,
      znodeWatches: this.#znodes.count,
      keyWatches: this.#keys.count,
    })
    const answer: StatusAnswer = { kind: 'statusAnswer', from: 'watches', id, json }
    this.#context.find<StatusAnswer>({ name: replyTo }).tell(answer)
  }
}

function* followed(steps: Steps, then: () => void): Steps {
  yield* steps
  then()
}
