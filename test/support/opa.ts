import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { component } from './components.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'
import { waitFor } from './wait.ts'

export type OpaVersion = '1.22.0' | '1.17.1' | '1.16.2'

export const opaVersions: OpaVersion[] = ['1.22.0', '1.17.1', '1.16.2']

export interface OpaOptions {
  version?: OpaVersion
  /** OPA's configuration: services, bundles, … */
  config?: Record<string, unknown>
  /** Policies and data to load at the start: name → text. */
  files?: Record<string, string>
  args?: string[]
  env?: Record<string, string | undefined>
}

export interface Opa {
  url: string
  process: RunningProcess
  /** `result` of the document at the path (`a/b`), undefined where there is none. */
  query(path: string, input?: unknown): Promise<unknown>
  /** What OPA itself says of its bundles and plugins (`/v1/status`). */
  status(): Promise<OpaStatus>
  /** The same of one bundle, once it says this revision: it decides by a bundle a moment before it says so. */
  activated(bundle: string, revision: string | RegExp): Promise<OpaBundleStatus>
  /** Whether every configured bundle was activated. */
  isReady(): Promise<boolean>
  stop(): Promise<void>
}

export interface OpaStatus {
  labels: Record<string, string>
  bundles?: Record<string, OpaBundleStatus>
  plugins?: Record<string, { state: string }>
}

export interface OpaBundleStatus {
  name: string
  active_revision?: string
  code?: string
  message?: string
  http_code?: string
  errors?: unknown[]
  last_successful_activation?: string
  size?: number
  type?: string
}

/** Starts `opa run --server` and settles when it answers; its bundles may still be on the way. */
export async function startOpa({
  version = '1.22.0',
  config = {},
  files = {},
  args,
  env,
}: OpaOptions = {}): Promise<Opa> {
  const dir = tempDir('opa')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const process = await startProcess({
    command: component(`opa-${version}`),
    args: [...runArguments(dir, port, config), ...writeFiles(dir, files), ...(args ?? [])],
    name: `OPA ${version} at ${url}`,
    cwd: dir,
    ...(env && { env }),
    ready: async () => (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).ok,
  })
  return {
    url,
    process,
    query: (path, input) => query(url, path, input),
    status: () => status(url),
    activated: (bundle, revision) =>
      waitFor(`${bundle} at ${String(revision)}`, async () => {
        const told = (await status(url)).bundles?.[bundle]
        const { active_revision: active = '' } = told ?? {}
        return (typeof revision === 'string' ? active === revision : revision.test(active)) && told
      }),
    isReady: async () => (await fetch(`${url}/health?bundles`)).ok,
    stop: () => process.stop(),
  }
}

function runArguments(dir: string, port: number, config: Record<string, unknown>): string[] {
  const file = join(dir, 'config.json')
  // /v1/status answers only where the status plugin is on.
  const content = { persistence_directory: join(dir, 'persisted'), status: { prometheus: true }, ...config }
  writeFileSync(file, JSON.stringify(content))
  const addr = `127.0.0.1:${port}`
  return [
    'run',
    '--server',
    '--addr',
    addr,
    '--config-file',
    file,
    '--skip-version-check',
    '--shutdown-grace-period',
    '1',
  ]
}

function writeFiles(dir: string, files: Record<string, string>): string[] {
  const folder = join(dir, 'files')
  mkdirSync(folder)
  return Object.entries(files).map(([name, text]) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  })
}

async function query(url: string, path: string, input?: unknown): Promise<unknown> {
  const response = await fetch(`${url}/v1/data/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input === undefined ? {} : { input }),
  })
  const body = (await response.json()) as { result?: unknown }
  if (!response.ok) throw new Error(`OPA answered ${response.status} to ${path}: ${JSON.stringify(body)}`)
  return body.result
}

async function status(url: string): Promise<OpaStatus> {
  const response = await fetch(`${url}/v1/status`)
  if (!response.ok) throw new Error(`OPA answered ${response.status} to /v1/status: ${await response.text()}`)
  return ((await response.json()) as { result: OpaStatus }).result
}
