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
  readonly zookeeper?: {
    /** '' or a sentence: why clients that come anew are turned away. */
    readonly refusal?: string
  }
}

/** Sentences about what keeps a node from serving, '' where there is nothing: its disk, its state, a cut. */
export function troubles(status: {
  readonly consensus?: unknown
  readonly state?: unknown
  readonly zookeeper?: unknown
}): string[] {
  const { space } = (status.consensus ?? {}) as Partial<NodeStatus['consensus']>
  const { difference } = (status.state ?? {}) as Partial<NodeStatus['state']>
  const { refusal } = (status.zookeeper ?? {}) as NonNullable<NodeStatus['zookeeper']>
  return [space?.reason ?? '', difference ?? '', refusal ?? '']
}
