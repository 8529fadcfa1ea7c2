/**
 * Run by `npm install`: reads all that a node is made of once, so that the first start finds it
 * compiled (node-environment.mjs says where). What it cannot write the first start makes up for.
 */
import { enableCompileCache, flushCompileCache } from 'node:module'
import { nodeEnvironment } from './node-environment.mjs'

enableCompileCache(nodeEnvironment.NODE_COMPILE_CACHE)
await import('./commands/start.ts')
await import('./commands/dev.ts')
await import('./thread.ts')
flushCompileCache()
