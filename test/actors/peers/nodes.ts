/** Nodes that consist of a peers actor, a stand-in for consensus and an actor that notes what it hears. */
import type { CheckpointStore } from '../../../actors/peers/checkpoint-transfers.ts'
import type { PeerMember, PeersMessage, PeersNotice } from '../../../actors/peers/messages.ts'
import { peersActor } from '../../../actors/peers/peers-actor.ts'
import type { Definition, Message, Ref } from '../../../runtime/actor.ts'
import type { Host } from '../../../runtime/host.ts'
import { createLogger } from '../../../runtime/log.ts'
import { defineProtocol, type KindCodec, type Protocol } from '../../../runtime/protocol.ts'
import { Router } from '../../../runtime/router.ts'
import { System } from '../../../runtime/system.ts'
import type { OlderSchemas } from '../../../transport/peers/schemas.ts'

export type NoteMessage =
  | {
      readonly kind: 'note'
      readonly from: number
      readonly text: string
      readonly data: Uint8Array
    }
  | { readonly kind: 'urgent'; readonly from: number }

export const noteProtocol = defineProtocol<NoteMessage>(
  'note',
  { note: { from: 'int', text: 'string', data: 'bytes' }, urgent: { from: 'int' } },
  { reserved: ['urgent'] },
)

export interface TestNode {
  readonly node: number
  readonly system: System
  readonly peers: Ref<PeersMessage>
  /** What consensus was told: `up 2 7`, `down 2 closed`, `sent 2 true`, in order. */
  readonly notices: string[]
  readonly notes: Message[]
  readonly arrivals: string[]
  readonly logs: string[]
  readonly statuses: string[]
  tell(node: number, message: NoteMessage): void
}

export interface NodeOptions {
  readonly host: Host
  readonly node: number
  readonly members: readonly PeerMember[]
  readonly cluster?: string
  readonly storeId?: string
  /** Undefined: as consensus tells it. */
  readonly formation?: string | undefined
  readonly incarnation?: number
  readonly protocol?: Protocol<NoteMessage>
  readonly kinds?: readonly KindCodec[]
  readonly olderSchemas?: readonly OlderSchemas[]
  readonly checkpoints?: CheckpointStore
  readonly onFailure?: (error: Error) => void
}

const noCheckpoints: CheckpointStore = {
  openForSending: () => undefined,
  openForReceiving: () => 'not in this test',
}

export function startNode(options: NodeOptions): TestNode {
  const { host, node, members } = options
  const formation = 'formation' in options ? options.formation : ''
  const protocol = options.protocol ?? noteProtocol
  const logs: string[] = []
  const log = createLogger({
    level: 'info',
    format: 'text',
    wallMillis: () => 0,
    write: line => logs.push(line),
  })
  const onFailure = options.onFailure ?? throwIt
  const system = new System({ host, log, node, onFailure })
  const gate = new Router(system)
  const notices: string[] = []
  const notes: Message[] = []
  const arrivals: string[] = []
  const statuses: string[] = []
  spawn('note', message => notes.push(plain(message)), protocol)
  spawn('state', message => arrivals.push(JSON.stringify(message)))
  spawn('control', message => statuses.push((message as { json?: string }).json ?? ''))
  spawn('consensus', message => notices.push(describe(message as PeersNotice)))
  const own = members.find(member => member.node === node)!
  const peers = system.spawn(peersActor, 'peers', {
    node,
    cluster: options.cluster ?? 'test',
    storeId:
      options.storeId ??
      node
        .toString(16)
        .padStart(node < 16 ? 1 : 2, '0')
        .repeat(node < 16 ? 32 : 16),
    incarnation: options.incarnation ?? 1,
    listen: own,
    members,
    ...(formation === undefined ? {} : { formation }),
    gate,
    checkpoints: options.checkpoints ?? noCheckpoints,
    kinds: options.kinds ?? protocol.kinds,
    olderSchemas: options.olderSchemas ?? [],
  })
  return {
    node,
    system,
    peers,
    notices,
    notes,
    arrivals,
    logs,
    statuses,
    tell: (to, message) => system.find<NoteMessage>({ name: 'note', protocol }, to).tell(message),
  }

  function spawn(name: string, take: (message: Message) => void, kinds?: Protocol<never>): void {
    const definition: Definition<Message, undefined> = {
      name,
      ...(kinds === undefined ? {} : { protocol: kinds as Protocol<Message> }),
      start: () => take,
    }
    system.spawn(definition, name, undefined)
  }
}

function throwIt(error: Error): void {
  throw error
}

/** Decoded records have a class and Buffers: for comparison they become plain. */
function plain(message: Message): Message {
  const entries = Object.entries(message).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? new Uint8Array(value) : value,
  ])
  return Object.fromEntries(entries) as Message
}

function describe(notice: PeersNotice): string {
  switch (notice.kind) {
    case 'linkUp':
      return `up ${notice.node} ${notice.incarnation}`
    case 'linkDown':
      return `down ${notice.node} ${notice.closed ? 'closed' : 'lost'}`
    case 'checkpointSent':
      return `sent ${notice.node} ${notice.sent}`
  }
}
