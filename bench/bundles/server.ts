// Runs as a child of bench/bundles.ts: one server, ours or a bare one, that tells what it cost.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import type { Release } from '../../src/model/release.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { createApi } from '../../src/server/api/api.ts'
import { createBundleRoute } from '../../src/server/bundles/route.ts'
import { createBundleTable } from '../../src/server/bundles/table.ts'
import { createGuard } from '../../src/server/guard/guard.ts'
import { createHttpServer } from '../../src/server/http.ts'

export interface Cost {
  /** Of the whole process, user and system. */
  cpuUs: number
  residentBytes: number
  /** The longest that the event loop was held. */
  longestMs: number
}

/** What the parent asks; each is answered with a message. */
export type Order = 'reset' | 'cost' | 'activate'

const bytes = Buffer.alloc(10 * 1024, 'bundle ')
const etag = `"${digestOf(bytes)}"`

async function startBare(): Promise<string> {
  const headers = ['ETag', etag, 'Content-Length', String(bytes.length), 'Content-Type', 'application/gzip']
  const server = createServer((request, response) => {
    if (request.headers['if-none-match'] === etag) response.writeHead(304, ['ETag', etag]).end()
    else response.writeHead(200, headers).end(bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function releaseOf(content: Buffer, number: number): Release {
  const digest = digestOf(content)
  return {
    bundle: 'authz',
    number,
    bundleDigest: digest,
    size: content.length,
    manifestDigest: digest,
    sourceDigest: digest,
    form: 'original',
    version: 'latest',
    revision: null,
    activatedAt: 0,
    reason: 'changed',
    kept: true,
  }
}

async function startOurs(): Promise<{ url: string; activate: () => void }> {
  const logger = silentLogger
  const metrics = createMetrics(systemClock)
  const table = createBundleTable({ metrics })
  table.configure([{ name: 'authz', aliases: [] }])
  table.activate({ release: releaseOf(bytes, 1), bytes })
  const unused = async () => undefined
  const bundles = createBundleRoute({
    table,
    findRelease: unused,
    async *readBlob() {
      yield await Promise.resolve(bytes)
    },
    clock: systemClock,
    logger,
    metrics,
  })
  const control = {
    status: async () => [],
    releases: async () => [],
    look: unused,
    reload: async () => ({ added: [], changed: [], removed: [] }),
    resume: async () => [],
    backUp: () => Promise.reject(new Error('not measured here')),
    collect: () => Promise.reject(new Error('not measured here')),
    verify: () => Promise.reject(new Error('not measured here')),
    verifying: () => null,
    unready: async () => [],
  }
  const server = await createHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    guard: createGuard({ access: null, adminToken: 'x', listenHost: '127.0.0.1', clock: systemClock, logger, metrics }),
    routes: { bundles, v2: unused, api: await createApi({ control, metrics, logger, version: '0' }) },
    logger,
    metrics,
    clock: systemClock,
  })
  let number = 1
  const activate = () => {
    const next = Buffer.from(bytes)
    next.writeInt32LE(++number)
    table.activate({ release: releaseOf(next, number), bytes: next })
  }
  return { url: server.url, activate }
}

const ours = process.argv[2] === 'ours' ? await startOurs() : undefined
const url = ours?.url ?? (await startBare())
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
let since = process.cpuUsage()

process.on('message', (order: Order) => {
  if (order === 'activate') ours?.activate()
  if (order === 'reset') {
    since = process.cpuUsage()
    delay.reset()
  }
  const { user, system } = process.cpuUsage(since)
  const cost: Cost = { cpuUs: user + system, residentBytes: process.memoryUsage.rss(), longestMs: delay.max / 1e6 }
  process.send?.(cost)
})
process.on('disconnect', () => process.exit())
process.send?.({ url, etag })
