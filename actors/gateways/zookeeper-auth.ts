/** What an auth packet makes of a connection (facts 1.12). */
import { createHash } from 'node:crypto'
import type { Id } from '../../transport/zookeeper/acl.ts'
import { superIdentity } from '../../transport/zookeeper/identities.ts'
import { javaText } from '../../transport/zookeeper/java-text.ts'
import type { AuthRequest } from '../../transport/zookeeper/requests.ts'

/**
 * The identities it adds; `undefined`: refused. `superDigest` is the one `user:hash` whose owner may
 * do everything, '' for none.
 */
export function authenticate(request: AuthRequest, superDigest: string): Id[] | undefined {
  // Every connection has its address already.
  if (request.scheme === 'ip') return []
  if (request.scheme !== 'digest') return undefined
  const id = digestOf(request.auth)
  const own = { scheme: 'digest', id }
  return superDigest !== '' && id === superDigest ? [own, superIdentity] : [own]
}

/** `user:base64(SHA1(user:password))`, of what Java makes of bytes that are not UTF-8. */
function digestOf(auth: Uint8Array): string {
  const text = javaText(auth)
  const colon = text.indexOf(':')
  const user = colon < 0 ? text : text.slice(0, colon)
  return `${user}:${createHash('sha1').update(text, 'utf8').digest('base64')}`
}
