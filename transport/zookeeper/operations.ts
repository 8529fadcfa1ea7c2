/** ZooKeeper's operation codes and the xids that have a meaning of their own (facts 1.4, 1.5). */
export const operation = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getAcl: 6,
  setAcl: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  createTtl: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
  createSession: -10,
  closeSession: -11,
  error: -1,
} as const

export const specialXid = { notification: -1, ping: -2, auth: -4, setWatches: -8 } as const

/** Bits of an ACL entry's `perms`. */
export const permission = { read: 1, write: 2, create: 4, delete: 8, admin: 16, all: 31 } as const

/** Only these create modes exist here so far; containers and TTL nodes come later. */
export const createMode = {
  persistent: 0,
  ephemeral: 1,
  persistentSequential: 2,
  ephemeralSequential: 3,
  container: 4,
  persistentTtl: 5,
  persistentSequentialTtl: 6,
} as const

export function isCreateMode(flags: number): boolean {
  return flags >= createMode.persistent && flags <= createMode.persistentSequentialTtl
}

export const eventType = { created: 1, deleted: 2, dataChanged: 3, childrenChanged: 4 } as const

/** The only state that a server ever puts into a notification. */
export const stateSyncConnected = 3
