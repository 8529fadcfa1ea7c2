/** What an operator can do for a node that neither votes nor counts (D14). */
import type { WaitingReason } from './interface.ts'

export const waitingHelp: Readonly<Record<WaitingReason, string>> = {
  notFormed:
    'the cluster forms when all members of the configuration run; a node that joins one is added by `quorate member add`',
  storeNotBound:
    'the cluster does not know the data directory of this node: `quorate member replace` binds a lost one anew, `quorate member add` a new node',
  membersDiffer: 'cluster.members is not the same in the configurations of all nodes',
}
