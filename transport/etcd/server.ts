/** The etcd port: HTTP/2 with gRPC, and plain HTTP, on one listener. See api.ts for its contract. */
import type { EtcdServer, EtcdServerOptions } from './api.ts'

export type * from './api.ts'
export { defaultLimits, type EtcdServerLimits } from './limits.ts'
export { grpcStatus } from './grpc.ts'

export function startEtcdServer(_options: EtcdServerOptions): EtcdServer {
  throw new Error('the etcd port is not built yet')
}
