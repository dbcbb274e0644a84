import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { exec, type ExecOptions, type ExecResult } from './exec.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

const program = resolve(import.meta.dirname, '../../bin/longshore.js')

export interface LongshoreOptions {
  /** The config's text or value; `server.listen` and `content.path` are added unless they are there. */
  config?: Record<string, unknown>
  /** A folder to go on in, for a restart; a new one by default. */
  folder?: string
  port?: number
  env?: Record<string, string | undefined>
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
  stop(): Promise<void>
}

/** `longshore serve` in a process of its own; settles when it is ready. */
export async function startLongshore(options: LongshoreOptions = {}): Promise<Longshore> {
  const { folder = tempDir('longshore'), port = await freePort(), config = {}, env } = options
  const host = `127.0.0.1:${port}`
  const url = `http://${host}`
  const configFile = join(folder, 'longshore.json')
  const writeConfig = (changed: Record<string, unknown>) => {
    const server = { listen: host, ...(changed.server as object | undefined) }
    writeFileSync(configFile, JSON.stringify({ content: { path: './data' }, ...changed, server }, undefined, 2))
  }
  writeConfig(config)
  const process = await startProcess({
    command: globalThis.process.execPath,
    args: [program, 'serve', '--config', configFile],
    name: `longshore at ${host}`,
    cwd: folder,
    env: { DOCKER_CONFIG: folder, LONGSHORE_CONFIG: undefined, ...env },
    ready: async () => (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) })).ok,
  })
  return { host, url, port, folder, configFile, process, writeConfig, stop: () => process.stop() }
}

/** Runs one longshore command to its end. */
export async function longshore(args: string[], options: ExecOptions = {}): Promise<ExecResult> {
  return exec(process.execPath, [program, ...args], options)
}
