/** What GET /status of the admin port answers. */
export interface NodeStatus {
  readonly node: string
  readonly pid: number
  /** Sentences: where its configuration and the membership differ. */
  readonly differences: readonly string[]
  readonly consensus: {
    readonly role: string
    readonly epoch: number
    readonly leader: number
    readonly commit: number
    /** `reason`: '' or a sentence, where disks have no space. */
    readonly space?: { readonly reason: string }
  }
  /** Missing where the actor did not answer in time. */
  readonly peers?: {
    readonly links: readonly {
      readonly node: number
      readonly up: boolean
      readonly member: boolean
      readonly roundTripMillis: number
    }[]
  }
  readonly state: {
    readonly applied: number
    readonly revision: number
    readonly zxid: number
    readonly sessions: number
    readonly leases: number
    readonly hash: string
    /** '' or a sentence: states of nodes differ, and no majority decides. */
    readonly difference?: string
  }
  readonly watches: { readonly watches: number }
}

/** Sentences about what keeps a node from serving, '' where there is nothing: its disk, its state. */
export function troubles(status: {
  readonly consensus?: unknown
  readonly state?: unknown
}): string[] {
  const { space } = (status.consensus ?? {}) as Partial<NodeStatus['consensus']>
  const { difference } = (status.state ?? {}) as Partial<NodeStatus['state']>
  return [space?.reason ?? '', difference ?? '']
}
