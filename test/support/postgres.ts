import { chmodSync, chownSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { connect } from 'node:net'
import { randomUUID } from 'node:crypto'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createPostgresState, type OpenOptions } from '../../src/state/postgres/client.ts'
import type { State } from '../../src/state/state.ts'
import { Client } from 'pg'
import { component } from './components.ts'
import { execOk } from './exec.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

export interface PostgresServer {
  port: number
  folder: string
  process: RunningProcess
  /** A new and empty database; its URL, password and all. */
  createDatabase(): Promise<string>
  /** Runs a statement as its superuser, in that database; its rows. */
  query(url: string, statement: string): Promise<Record<string, unknown>[]>
  /** The same again, on the same port. */
  restart(how: 'fast' | 'immediate', whileDown?: () => Promise<unknown>): Promise<void>
  stop(): Promise<void>
}

export interface PostgresServerOptions {
  tls?: { cert: string; key: string }
}

/** What was committed outlives its own crash, not one of the machine: that is not what is tried, and takes long on a busy disk. */
const unsynced = ['fsync=off', 'full_page_writes=off']

/** It refuses root. */
const asItself = ['--reuid=postgres', '--regid=postgres', '--clear-groups', '--pdeathsig', 'KILL', '--']
let databases = 0

/** A real Postgres, with a password for whoever comes by TCP. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const bin = dirname(component('postgresql'))
  const [port, folder] = [await freePort(), tempDir('postgres')]
  const ids = (await execOk('id', ['-u', 'postgres'])).stdout.trim()
  chownSync(folder, Number(ids), 0)
  const data = join(folder, 'data')
  const run = (program: string, ...args: string[]) =>
    execOk('setpriv', [...asItself, join(bin, program), ...args], { cwd: '/' })
  mkdirSync(data)
  chownSync(data, Number(ids), 0)
  writeFileSync(join(folder, 'password'), 'very-secret-word\n')
  // Text that is sorted by a language, as most databases are: ours has to sort by bytes all the same.
  const locale = ['--locale=C.UTF-8', '--encoding=UTF8', '--locale-provider=icu', '--icu-locale=en']
  const login = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${join(folder, 'password')}`]
  await run('initdb', '--pgdata', data, '--no-sync', '--username=postgres', ...locale, ...login)
  const tls = options.tls === undefined ? [] : tlsSettings(options.tls, data, Number(ids))
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    ...unsynced,
    ...tls,
  ]
  const start = () =>
    startProcess({
      command: 'setpriv',
      args: [...asItself, join(bin, 'postgres'), '-D', data, ...settings.flatMap((setting) => ['-c', setting])],
      name: `postgres at 127.0.0.1:${port}`,
      cwd: '/',
      ready: () => answers(port, () => server.query('postgres', 'select 1')),
    })
  const server: PostgresServer = {
    ...{ port, folder },
    process: undefined as unknown as RunningProcess,
    async createDatabase() {
      const name = `longshore_${databases++}`
      await server.query('postgres', `create database ${name}`)
      return `postgres://postgres:very-secret-word@127.0.0.1:${port}/${name}`
    },
    async query(url, statement) {
      const client = new Client({ host: folder, port, user: 'postgres', database: url.slice(url.lastIndexOf('/') + 1) })
      // It may be ended under us, by a restart.
      client.on('error', () => undefined)
      await client.connect()
      try {
        return (await client.query<Record<string, unknown>>(statement)).rows
      } finally {
        await client.end()
      }
    },
    async restart(how, whileDown) {
      // Its fast shutdown ends sessions and writes everything; the immediate one is as a crash.
      await server.process.stop({ signal: how === 'fast' ? 'SIGINT' : 'SIGQUIT', timeoutMs: 60_000 })
      await whileDown?.()
      server.process = await start()
    },
    stop: () => server.process.stop({ signal: 'SIGINT', timeoutMs: 60_000 }),
  }
  server.process = await start()
  return server
}

function tlsSettings(tls: { cert: string; key: string }, data: string, uid: number): string[] {
  return ['ssl=on', ...(['cert', 'key'] as const).map((part) => `ssl_${part}_file=${own(tls[part], data, uid, part)}`)]
}

/** It refuses a key that others may read. */
function own(path: string, data: string, uid: number, name: string): string {
  const target = join(data, `server.${name}`)
  copyFileSync(path, target)
  chmodSync(target, 0o600)
  chownSync(target, uid, 0)
  return target
}

async function answers(port: number, ask: () => Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  const isOpen = await promise
  socket.destroy()
  if (isOpen) await ask()
  return isOpen
}

/** What the config's defaults are, but for a lease that a test need not wait for. */
export function postgresOptions(url: string, more: Partial<OpenOptions> = {}): OpenOptions {
  return {
    ...{ url: new Secret(url), password: null, tls: null, connections: 4 },
    ...{ connectTimeoutMs: 5_000, statementTimeoutMs: 30_000, reconnectTimeoutMs: 10_000 },
    lease: { durationMs: 6_000, renewMs: 2_000, pollMs: 50 },
    ...{ contentId: 'content-1', clock: systemClock, logger: silentLogger, redactor: new Redactor() },
    holder: { id: randomUUID(), title: 'a test' },
    ...more,
  }
}

export function openPostgresState(url: string, more: Partial<OpenOptions> = {}): Promise<State> {
  return createPostgresState(postgresOptions(url, more))
}
