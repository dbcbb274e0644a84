// Not the package as a whole: with it come a cluster, a gateway and OpenTelemetry, 12 MB that nobody here uses.
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Registry from 'prom-client/lib/registry.js'
import type { Clock } from './clock.ts'
import { httpMetrics } from './http-metrics.ts'

/** What is counted, as the rest of the code says it; names and units of what is shown are decided here. */
export interface Metrics {
  /** One look came to its end; `outcome` is a `Look`'s. */
  looked(bundle: string, outcome: string): void
  /** Something was downloaded for a bundle. */
  fetched(bundle: string, bytes: number): void
  /** Something failed; `code` is an error's code, never a message. */
  failed(kind: string, code: string): void
  /** A release became current; its age is computed when somebody asks. `at` is milliseconds since the epoch. */
  released(bundle: string, at: number): void
  /** The bundle left the config: its series end. */
  forget(bundle: string): void
  /** The registry client made a request; `status` is HTTP's, or an error code where there was none. */
  remoteRequest(host: string, status: number | string): void
  deployed(place: string, outcome: 'done' | 'failed'): void
  /** A publisher was told, could not be, or never will be; `parked` waits for a person. */
  published(publisher: string, outcome: 'sent' | 'failed' | 'parked' | 'lost', events: number): void
  setMessages(publisher: string, count: { waiting: number; parked: number }): void
  /** Something came to a webhook. */
  delivered(webhook: string, outcome: 'taken' | 'ignored' | 'refused'): void
  /** The publisher left the config: its series end. */
  forgetPublisher(publisher: string): void
  /** An HTTP request was answered. Runs for each one: cheap. `seconds` is left out for what was held on purpose. */
  answered(route: string, status: number, seconds?: number): void
  /** Bytes of bundles handed out. */
  served(bundle: string, bytes: number): void
  loginFailed(scheme: string): void
  /** Somebody was turned away at a limit; its name is a key of `server.limits`. */
  limited(limit: string): void
  /** A collection came to its end; bytes and files that are gone, and those that stay. */
  collected(outcome: 'done', what: CollectedNumbers): void
  collected(outcome: 'failed'): void
  setWaiting(clients: number): void
  setBundleMemory(bytes: number): void
  setRegistryMemory(bytes: number): void
  setFolderLost(isLost: boolean): void
  /** Prometheus' text, and its media type. */
  text(): Promise<string>
  readonly contentType: string
}

export interface CollectedNumbers {
  files: number
  bytes: number
  left: { files: number; bytes: number }
  seconds: number
}

const maxHosts = 100

/** Its own registry, no globals. Labels are bounded: names come from the config, hosts beyond a hundred count as `other`. */
export function createMetrics(clock: Pick<Clock, 'now'>): Metrics {
  const register = new Registry()
  const ofProcess = createProcessMetrics(register)
  const bundles = bundleMetrics(register, clock)
  const http = httpMetrics(register)
  const counter = counters(register)
  const remote = counter('registry_requests_total', 'Requests to registries', ['host', 'status'])
  const failures = counter('failures_total', 'What failed, by kind of work and error code', ['kind', 'code'])
  const deploys = counter('deploys_total', 'Tries to deploy', ['place', 'outcome'])
  const deliveries = counter('webhooks_total', 'What came to webhooks', ['webhook', 'outcome'])
  const logins = counter('login_failures_total', 'Requests with credentials that nobody has', ['scheme'])
  const limits = counter('limited_total', 'Connections and requests turned away at a limit', ['limit'])
  const gauge = (name: string, help: string) => new Gauge({ name: `longshore_${name}`, help, registers: [register] })
  const waiting = gauge('waiting_clients', 'Long polls that are held now')
  const memory = gauge('bundle_memory_bytes', 'Bundles kept in memory for serving')
  const registryMemory = gauge('registry_memory_bytes', 'Manifests and small blobs kept in memory for the registry')
  const folderLost = gauge('content_folder_lost', '1 while the content folder is removed, replaced or does not answer')
  const hosts = new Set<string>()

  return {
    ...bundles,
    ...http,
    ...collectionMetrics(register),
    ...messageMetrics(register),
    failed: (kind, code) => failures.inc({ kind, code }),
    remoteRequest(host, status) {
      if (hosts.size < maxHosts) hosts.add(host)
      remote.inc({ host: hosts.has(host) ? host : 'other', status: String(status) })
    },
    deployed: (place, outcome) => deploys.inc({ place, outcome }),
    delivered: (webhook, outcome) => deliveries.inc({ webhook, outcome }),
    loginFailed: (scheme) => logins.inc({ scheme }),
    limited: (limit) => limits.inc({ limit }),
    setWaiting: (clients) => waiting.set(clients),
    setBundleMemory: (bytes) => memory.set(bytes),
    setRegistryMemory: (bytes) => registryMemory.set(bytes),
    setFolderLost: (isLost) => folderLost.set(isLost ? 1 : 0),

    async text() {
      await ofProcess()
      return register.metrics()
    },
    contentType: register.contentType,
  }
}

/** What the process and its event loop do. Measured from the first time that somebody asks: until then it costs nothing. */
function createProcessMetrics(register: Registry): () => Promise<void> {
  let started: Promise<void> | undefined
  return () =>
    (started ??= import('./process-metrics.ts').then(({ registerProcessMetrics }) => registerProcessMetrics(register)))
}

function collectionMetrics(register: Registry) {
  const counter = counters(register)
  const runs = counter('gc_runs_total', 'Collections of what nobody needs', ['outcome'])
  const files = counter('gc_removed_blobs_total', 'Blobs that collections removed', [])
  const bytes = counter('gc_freed_bytes_total', 'Bytes that collections freed', [])
  const gauge = (name: string, help: string) => new Gauge({ name: `longshore_${name}`, help, registers: [register] })
  const lasted = gauge('gc_last_duration_seconds', 'How long the last collection took')
  const leftFiles = gauge('content_blobs', 'Blobs on disk, as of the last collection')
  const leftBytes = gauge('content_bytes', 'Bytes of blobs on disk, as of the last collection')
  return {
    collected(outcome: 'done' | 'failed', what?: CollectedNumbers) {
      runs.inc({ outcome })
      if (what === undefined) return
      files.inc(what.files)
      bytes.inc(what.bytes)
      lasted.set(what.seconds)
      leftFiles.set(what.left.files)
      leftBytes.set(what.left.bytes)
    },
  }
}

function counters(register: Registry) {
  return <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter({ name: `longshore_${name}`, help, labelNames, registers: [register] })
}

function messageMetrics(register: Registry) {
  const told = counters(register)('messages_total', 'Events for publishers', ['publisher', 'outcome'])
  const held = new Gauge({
    name: 'longshore_messages',
    help: 'Events that a publisher is still to be told of',
    labelNames: ['publisher', 'state'],
    registers: [register],
  })
  return {
    published: (publisher: string, outcome: 'sent' | 'failed' | 'parked' | 'lost', events: number) =>
      told.inc({ publisher, outcome }, events),
    setMessages(publisher: string, { waiting, parked }: { waiting: number; parked: number }) {
      held.set({ publisher, state: 'waiting' }, waiting)
      held.set({ publisher, state: 'parked' }, parked)
    },
    forgetPublisher(publisher: string) {
      for (const state of ['waiting', 'parked']) held.remove({ publisher, state })
      for (const outcome of ['sent', 'failed', 'parked', 'lost']) told.remove({ publisher, outcome })
    },
  }
}

function bundleMetrics(register: Registry, clock: Pick<Clock, 'now'>) {
  const counter = counters(register)
  const looks = counter('looks_total', 'Looks at stores', ['bundle', 'outcome'])
  const fetches = counter('fetches_total', 'Downloads for a bundle', ['bundle'])
  const fetchedBytes = counter('fetched_bytes_total', 'Bytes downloaded for a bundle', ['bundle'])
  const releasedAt = new Map<string, number>()
  // prom-client's own counters cost a hash per call: too much for a route that answers in microseconds.
  const servedBytes = new Map<string, number>()
  new Counter({
    name: 'longshore_served_bytes_total',
    help: 'Bytes of bundles handed out',
    labelNames: ['bundle'],
    registers: [register],
    collect() {
      this.reset()
      for (const [bundle, bytes] of servedBytes) this.inc({ bundle }, bytes)
    },
  })
  new Gauge({
    name: 'longshore_release_age_seconds',
    help: 'Since the current release of a bundle was activated',
    labelNames: ['bundle'],
    registers: [register],
    collect() {
      this.reset()
      for (const [bundle, at] of releasedAt) this.set({ bundle }, Math.max(0, (clock.now() - at) / 1000))
    },
  })
  return {
    looked: (bundle: string, outcome: string) => looks.inc({ bundle, outcome }),
    fetched(bundle: string, bytes: number) {
      fetches.inc({ bundle })
      fetchedBytes.inc({ bundle }, bytes)
    },
    released: (bundle: string, at: number) => void releasedAt.set(bundle, at),
    served: (bundle: string, bytes: number) => void servedBytes.set(bundle, (servedBytes.get(bundle) ?? 0) + bytes),
    forget(bundle: string) {
      releasedAt.delete(bundle)
      servedBytes.delete(bundle)
      for (const metric of [fetches, fetchedBytes]) metric.remove({ bundle })
      for (const outcome of ['released', 'unchanged', 'refused', 'failed']) looks.remove({ bundle, outcome })
    },
  }
}
