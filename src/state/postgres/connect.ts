import { readFile } from 'node:fs/promises'
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import type { Pool, PoolConfig } from 'pg'
import { ConfigError } from '../../lib/errors.ts'
import { parsePostgresUrl, type Address } from '../../lib/postgres-url.ts'
import type { Redactor } from '../../lib/redact.ts'
import type { Schema } from '../schema.ts'
import type { ConnectOptions } from './options.ts'

/** Beyond what the server takes for a statement: only where its answer cannot come any more is it given up here. */
const answerGraceMs = 5_000
/** https://www.postgresql.org/docs/current/catalog-pg-type.html: what counts and sums come as. */
const numberTypes = new Set([20, 1700])

export interface Database {
  kysely: Kysely<Schema>
  /** For messages: host, port and name, never a password. */
  name: string
  close(): Promise<void>
}

/** Connections to one database, made when they are needed. Throws ConfigError where the URL or a file of its TLS is no good. */
export async function connect(
  options: ConnectOptions,
  { redactor, connections = options.connections, statementTimeoutMs = options.statementTimeoutMs }: ConnectLimits,
): Promise<Database> {
  const address = await readAddress(options, redactor)
  // Loaded only where it is used.
  const { Pool, types } = await import('pg')
  const pool = new Pool({
    ...(await settingsOf(address, options, redactor)),
    max: connections,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + answerGraceMs,
    // What a process that was stopped in the middle of a transaction has locked is free once its lease is over.
    idle_in_transaction_session_timeout: options.lease.durationMs,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        numberTypes.has(oid) ? Number : (types.getTypeParser(oid, format) as (text: string) => unknown),
    },
  })
  hearErrors(pool)
  const kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: asKyselyWants(pool) }) })
  return { kysely, name: nameOf(address), close: () => kysely.destroy() }
}

interface ConnectLimits {
  redactor: Redactor
  connections?: number
  statementTimeoutMs?: number
}

async function readAddress({ url, password }: ConnectOptions, redactor: Redactor): Promise<Address> {
  for (const secret of [url, password]) secret?.introduce(redactor)
  const address = parsePostgresUrl(await url.read())
  if (password !== null) return { ...address, password: await password.read() }
  if (address.password !== undefined) redactor.add(address.password)
  return address
}

async function settingsOf(address: Address, options: ConnectOptions, redactor: Redactor): Promise<PoolConfig> {
  const { host, port, user, database, applicationName } = address
  const tls = await tlsOf(address, options.tls)
  return {
    ...{ host, port, application_name: applicationName ?? 'longshore', keepAlive: true },
    ...(user !== undefined && { user }),
    ...(database !== undefined && { database }),
    ...(tls !== undefined && { ssl: tls }),
    // Asked for each connection: a password in a file may have been changed. Without one the driver looks for PGPASSWORD.
    ...(address.password !== undefined && {
      password: async () => (await readAddress(options, redactor)).password ?? '',
    }),
  }
}

/** As libpq has it: only the modes that say so look at the certificate, and `state.tls` always does. */
async function tlsOf(
  { sslmode, ...address }: Address,
  tls: ConnectOptions['tls'],
): Promise<Exclude<PoolConfig['ssl'], boolean | undefined> | undefined> {
  if (sslmode === 'disable' || (sslmode === undefined && tls === null)) return undefined
  const [ca, cert, key] = await Promise.all(
    (['ca', 'cert', 'key'] as const).map((part) => readPem(tls?.[part] ?? address[part])),
  )
  const files = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
  const isUnchecked = sslmode === 'require' && ca === undefined && tls === null
  const onlyAuthority = sslmode === 'verify-ca' || (sslmode === 'require' && tls === null)
  return {
    ...files,
    rejectUnauthorized: !isUnchecked,
    ...(onlyAuthority && { checkServerIdentity: () => undefined }),
  }
}

async function readPem(path: string | null | undefined): Promise<string | undefined> {
  if (path === null || path === undefined) return undefined
  return readFile(path, 'utf8').catch((error: unknown) => {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    throw new ConfigError(`cannot read ${path} for the state's database: ${code}`, { cause: error })
  })
}

/** Postgres has no text with a zero in it, which an error message from somewhere may have. */
function asKyselyWants(pool: Pool): PostgresPool {
  const fit = (value: unknown) => (typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value)
  return {
    options: pool.options,
    async connect() {
      const client = await pool.connect()
      const query = (text: string, parameters: readonly unknown[] = []) => client.query(text, parameters.map(fit))
      // It is never asked for a cursor.
      const asked = query as unknown as PostgresPoolClient['query']
      return { query: asked, release: (destroy) => client.release(destroy) }
    },
    end: () => pool.end(),
  }
}

/** A connection that breaks tells whoever waits for an answer; an event that nobody hears would end the process. */
function hearErrors(pool: Pool): void {
  const ignore = () => undefined
  pool.on('error', ignore)
  pool.on('connect', (client) => void client.on('error', ignore))
}

function nameOf({ host, port, database, user }: Address): string {
  const name = database ?? user
  return `the database ${name === undefined ? '' : `${name} `}at ${host.startsWith('/') ? host : `${host}:${port}`}`
}
