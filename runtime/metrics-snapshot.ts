/** Collected metrics as plain data: they cross threads, are merged, and written in Prometheus's format. */
export type MetricLabels = Readonly<Record<string, string>>

export interface MetricsSnapshot {
  readonly families: readonly MetricFamily[]
}

export interface MetricFamily {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly points: readonly MetricPoint[]
}

export interface MetricPoint {
  readonly labels: MetricLabels
  /** Of a histogram the sum. */
  readonly value: number
  /** Upper bounds of a histogram's buckets, without the infinite one. */
  readonly bounds?: readonly number[]
  /** One more than bounds; each bucket alone, not cumulative. */
  readonly counts?: readonly number[]
}

/** Points with equal labels are added up; gauges that must not be carry a label that tells them apart. */
export function mergeMetrics(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  const families = new Map<string, { family: MetricFamily; points: Map<string, MetricPoint> }>()
  for (const family of snapshots.flatMap(snapshot => snapshot.families)) {
    let merged = families.get(family.name)
    if (merged === undefined) {
      merged = { family, points: new Map() }
      families.set(family.name, merged)
    }
    for (const point of family.points) mergePoint(merged.points, point)
  }
  return {
    families: [...families.values()].map(({ family, points }) => ({
      ...family,
      points: [...points.values()],
    })),
  }
}

function mergePoint(points: Map<string, MetricPoint>, point: MetricPoint): void {
  const key = formatLabels(point.labels)
  const known = points.get(key)
  points.set(key, known === undefined ? point : addPoints(known, point))
}

function addPoints(left: MetricPoint, right: MetricPoint): MetricPoint {
  const value = left.value + right.value
  if (left.counts === undefined || right.counts === undefined) return { labels: left.labels, value }
  const counts = left.counts.map((count, index) => count + (right.counts?.[index] ?? 0))
  return { ...left, value, counts }
}

/** The text format, version 0.0.4. */
export function formatPrometheus(snapshot: MetricsSnapshot): string {
  const families = [...snapshot.families].sort((left, right) => (left.name < right.name ? -1 : 1))
  return families.map(family => formatFamily(family)).join('')
}

function formatFamily({ name, help, type, points }: MetricFamily): string {
  const head = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`
  const lines = points.map(point =>
    point.counts === undefined
      ? `${name}${formatLabels(point.labels)} ${formatNumber(point.value)}\n`
      : formatHistogram(name, point, point.counts),
  )
  return head + lines.join('')
}

function formatHistogram(name: string, point: MetricPoint, counts: readonly number[]): string {
  const { labels, bounds = [], value } = point
  let total = 0
  let text = ''
  for (const [index, count] of counts.entries()) {
    total += count
    const le = formatNumber(bounds[index] ?? Number.POSITIVE_INFINITY)
    text += `${name}_bucket${formatLabels({ ...labels, le })} ${total}\n`
  }
  const suffix = formatLabels(labels)
  return `${text}${name}_sum${suffix} ${formatNumber(value)}\n${name}_count${suffix} ${total}\n`
}

function formatLabels(labels: MetricLabels): string {
  const pairs = Object.keys(labels)
    .sort()
    .map(name => `${name}="${escapeLabel(labels[name]!)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function formatNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}
