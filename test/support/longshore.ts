import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { inspect } from 'node:util'
import { Agent, fetch, type RequestInit, type Response } from 'undici'
import type { BundleStatus } from '../../src/model/status.ts'
import type { Look, Release } from '../../src/model/release.ts'
import { exec, type ExecOptions, type ExecResult } from './exec.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'
import { waitFor } from './wait.ts'

export const programPath = resolve(import.meta.dirname, '../../bin/longshore.js')

export interface LongshoreOptions {
  /** The config's text or value; `server.listen` and `content.path` are added unless they are there. */
  config?: Record<string, unknown>
  /** A folder to go on in, for a restart; a new one by default. */
  folder?: string
  port?: number
  /** More arguments of `serve`. */
  args?: string[]
  env?: Record<string, string | undefined>
  /** PEM files with which we ask a server that speaks TLS. */
  tls?: { ca: string; cert?: string; key?: string }
  /** Sent with each of our own requests. */
  headers?: Record<string, string>
  /** What it has to come to: `standby` where another one acts, `either` where nobody can say. */
  until?: 'ready' | 'standby' | 'either'
  /** A command that runs it, with its own arguments: strace, for one. */
  under?: readonly string[]
}

export interface Longshore {
  /** `127.0.0.1:PORT`, as it stands in a reference. */
  host: string
  url: string
  port: number
  folder: string
  configFile: string
  process: RunningProcess
  /** Writes another config over the one it was started with; nothing happens until it is told to reload. */
  writeConfig(config: Record<string, unknown>): void
  /** Asks for a path below `url`. */
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** `/api/v1/bundles/NAME`. */
  bundle(name: string): Promise<BundleStatus>
  /** Newest first. */
  releases(name: string): Promise<Release[]>
  look(name: string): Promise<Look>
  reload(): Promise<Response>
  /** The sum of a metric's series that carry these labels; 0 where there is none. */
  metric(name: string, labels?: Record<string, string>): Promise<number>
  /** The lines of its log that are JSON, of those that are still kept. */
  log(): Record<string, unknown>[]
  /** The first of those lines that has all of this: it may be read after the answer to what it tells of. */
  logged(fields: Record<string, unknown>): Promise<Record<string, unknown>>
  /** With SIGTERM; settles once it ended by itself. */
  stop(): Promise<void>
}

/** `longshore serve` in a process of its own; settles when it is ready. */
export async function startLongshore(options: LongshoreOptions = {}): Promise<Longshore> {
  const { folder = tempDir('longshore'), port = await freePort(), config = {}, env, tls } = options
  const { under = [], args: more = [], until = 'ready' } = options
  const host = `127.0.0.1:${port}`
  const url = `${tls === undefined ? 'http' : 'https'}://${host}`
  const configFile = join(folder, 'longshore.json')
  const writeConfig = (changed: Record<string, unknown>) => {
    const server = { listen: host, ...(changed.server as object | undefined) }
    writeFileSync(configFile, JSON.stringify({ content: { path: './data' }, ...changed, server }, undefined, 2))
  }
  writeConfig(config)
  const ask = createAsk(url, options)
  const serve = [globalThis.process.execPath, programPath, 'serve', '--config', configFile, ...more]
  const [command = '', ...args] = [...under, ...serve]
  const process = await startProcess({
    command,
    args,
    name: `longshore at ${host}`,
    cwd: folder,
    env: { DOCKER_CONFIG: folder, LONGSHORE_CONFIG: undefined, ...env },
    ready: async () =>
      (await ask('/health/ready', { signal: AbortSignal.timeout(2_000) })).ok ? until !== 'standby' : until !== 'ready',
  })
  const json = async (path: string, init?: RequestInit) => (await ok(await ask(path, init))).json()
  return {
    ...{ host, url, port, folder, configFile, process, writeConfig, fetch: ask },
    bundle: async (name) => (await json(`/api/v1/bundles/${name}`)) as BundleStatus,
    releases: async (name) => ((await json(`/api/v1/bundles/${name}/releases`)) as { releases: Release[] }).releases,
    look: async (name) => (await json(`/api/v1/bundles/${name}/look`, { method: 'POST' })) as Look,
    reload: () => ask('/api/v1/config/reload', { method: 'POST' }),
    metric: async (name, labels = {}) => sumOf(await (await ok(await ask('/metrics'))).text(), name, labels),
    log: () => jsonLines(process.output()),
    logged: (fields) => waitFor(`a line with ${inspect(fields)}`, () => find(jsonLines(process.output()), fields)),
    stop: () => process.stop({ timeoutMs: 60_000 }),
  }
}

/** Runs one longshore command to its end. */
export async function longshore(args: string[], options: ExecOptions = {}): Promise<ExecResult> {
  return exec(process.execPath, [programPath, ...args], options)
}

function createAsk(url: string, { tls, headers }: LongshoreOptions): Longshore['fetch'] {
  // A connection for each request: a certificate that was replaced shows at once.
  const agent = new Agent({ pipelining: 0, connect: readPem(tls) })
  return (path, init) =>
    fetch(`${url}${path}`, {
      ...init,
      dispatcher: agent,
      headers: { ...headers, ...(init?.headers as Record<string, string> | undefined) },
    })
}

function readPem(tls: LongshoreOptions['tls']): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(tls ?? {}).map(([name, path]) => [name, readFileSync(path)]))
}

async function ok(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`)
  return response
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
function sumOf(text: string, name: string, labels: Record<string, string>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

function find(lines: Record<string, unknown>[], fields: Record<string, unknown>): Record<string, unknown> | undefined {
  return lines.find((line) => Object.entries(fields).every(([name, value]) => line[name] === value))
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
