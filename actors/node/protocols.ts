/** How the messages of the well-known actors are encoded, for `replyTo` by name on every thread. */
import { directory } from '../directory.ts'

export const protocols = Object.values(directory).map(
  ({ name, protocol }) => [name, protocol] as const,
)
