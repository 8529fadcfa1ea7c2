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
  readonly peers: {
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
  }
  readonly watches: { readonly watches: number }
}
