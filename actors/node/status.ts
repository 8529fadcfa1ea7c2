/** What GET /status of the admin port answers. */
export interface NodeStatus {
  readonly node: string
  readonly pid: number
  readonly consensus: {
    readonly role: string
    readonly epoch: number
    readonly leader: number
    readonly commit: number
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
