import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/*
 * grpc.health.v1.HealthCheckRequest: service=1 string
 * HealthCheckResponse: status=1 (UNKNOWN=0, SERVING=1, NOT_SERVING=2, SERVICE_UNKNOWN=3)
 * HealthListRequest: (no fields)      HealthListResponse: statuses=1 map<string, HealthCheckResponse>
 */
export const healthStatus = { unknown: 0, serving: 1, notServing: 2, serviceUnknown: 3 } as const

export function decodeHealthCheck(reader: Reader): { service: string } {
  const request = { service: '' }
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x0a) request.service = reader.text()
    else reader.skip(tag)
  }
  return request
}

export function writeHealth(writer: Writer, status: number): void {
  writer.number(0x08, status)
}

/** Only the service without a name is known. */
export function writeHealthList(writer: Writer, status: number): void {
  const entry = writer.open(0x0a)
  writer.textElement(0x0a, '')
  const value = writer.open(0x12)
  writer.number(0x08, status)
  writer.close(value)
  writer.close(entry)
}
