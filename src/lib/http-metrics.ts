import type { Metric, Registry } from 'prom-client'
import Counter from 'prom-client/lib/counter.js'

const latencySeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30]

/** What was answered on one route. */
interface Tally {
  statuses: Map<number, number>
  /** How many took up to each of `latencySeconds`, and longer than the one before; the last took longer than all. */
  buckets: number[]
  seconds: number
}

/**
 * Requests and their time. prom-client's own counters look at their labels at each call, which is too much for a route that
 * answers in microseconds: plain numbers here, that are made into series when somebody asks.
 */
export function httpMetrics(register: Registry) {
  const routes = new Map<string, Tally>()
  new Counter({
    name: 'longshore_http_requests_total',
    help: 'HTTP requests answered',
    labelNames: ['route', 'status'],
    registers: [register],
    collect() {
      this.reset()
      for (const [route, { statuses }] of routes)
        for (const [status, count] of statuses) this.inc({ route, status }, count)
    },
  })
  const durations = {
    name: 'longshore_http_request_duration_seconds',
    help: 'Until an answer was handed to the network; long polls not counted',
    type: 'histogram',
    get: async () => ({ ...durations, values: [...routes].flatMap(([route, tally]) => seriesOf(route, tally)) }),
  }
  // prom-client names its own classes here, and uses of them what this has.
  register.registerMetric(durations as unknown as Metric)

  return {
    answered(route: string, status: number, seconds?: number) {
      let tally = routes.get(route)
      if (tally === undefined) {
        tally = { statuses: new Map(), buckets: new Array<number>(latencySeconds.length + 1).fill(0), seconds: 0 }
        routes.set(route, tally)
      }
      tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1)
      if (seconds === undefined) return
      let bucket = 0
      while (bucket < latencySeconds.length && seconds > latencySeconds[bucket]!) bucket++
      tally.buckets[bucket]!++
      tally.seconds += seconds
    },
  }
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/#histograms-and-summaries: each bucket counts those below it too. */
function seriesOf(route: string, { buckets, seconds }: Tally) {
  const name = 'longshore_http_request_duration_seconds'
  let count = 0
  const series: { metricName: string; labels: Record<string, string | number>; value: number }[] = buckets.map(
    (some, index) => {
      count += some
      return { metricName: `${name}_bucket`, labels: { le: latencySeconds[index] ?? '+Inf', route }, value: count }
    },
  )
  return [
    ...series,
    { metricName: `${name}_sum`, labels: { route }, value: seconds },
    { metricName: `${name}_count`, labels: { route }, value: count },
  ]
}
