import { ConfigError } from './errors.ts'

/** Where a database is, and who asks. What is missing is left to the driver, which asks PGUSER and its like. */
export interface Address {
  host: string
  port: number
  user: string | undefined
  password: string | undefined
  database: string | undefined
  /** The modes are libpq's; undefined where the URL says nothing. */
  sslmode: SslMode | undefined
  /** Paths. */
  ca: string | undefined
  cert: string | undefined
  key: string | undefined
  applicationName: string | undefined
}

const sslmodes = ['disable', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslmodes)[number]

const known = new Set(['host', 'port', 'user', 'password', 'dbname', 'application_name'])
const knownTls = new Set(['sslmode', 'sslrootcert', 'sslcert', 'sslkey'])

/**
 * As libpq reads it: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS. Throws ConfigError, which
 * never has the URL in it: there may be a password.
 */
export function parsePostgresUrl(text: string): Address {
  const url = parse(text)
  const parameters = new Map(url.searchParams)
  for (const name of parameters.keys()) {
    if (known.has(name) || knownTls.has(name)) continue
    throw badUrl(`it has a parameter \`${name}\`, which is not known here`)
  }
  const port = parameters.get('port') ?? url.port
  if (!/^\d*$/.test(port)) throw badUrl('its port is no number')
  return {
    host: parameters.get('host') ?? (decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost'),
    port: port === '' ? 5432 : Number(port),
    user: orNothing(parameters.get('user') ?? decodeURIComponent(url.username)),
    password: orNothing(parameters.get('password') ?? decodeURIComponent(url.password)),
    database: orNothing(parameters.get('dbname') ?? decodeURIComponent(url.pathname.slice(1))),
    sslmode: parseMode(parameters.get('sslmode')),
    ca: parameters.get('sslrootcert'),
    cert: parameters.get('sslcert'),
    key: parameters.get('sslkey'),
    applicationName: parameters.get('application_name'),
  }
}

/** A host may be missing, as in `postgres:///longshore?host=/run/postgresql`. */
function parse(text: string): URL {
  if (!/^postgres(?:ql)?:\/\//.test(text)) throw badUrl('it has to begin with postgres://')
  const url = URL.parse(text) ?? URL.parse(text.replace(/^([^/]*\/\/[^/@]*@)\//, '$1localhost/'))
  if (url === null)
    throw badUrl('it cannot be read; characters such as @, / and # in a password are written as %40, %2F and %23')
  return url
}

function parseMode(mode: string | undefined): SslMode | undefined {
  if (mode === undefined) return undefined
  const found = sslmodes.find((name) => name === mode)
  if (found === undefined) throw badUrl(`its sslmode is none of ${sslmodes.join(', ')}`)
  return found
}

function orNothing(text: string): string | undefined {
  return text === '' ? undefined : text
}

function badUrl(why: string): ConfigError {
  return new ConfigError(`no address of a Postgres: ${why}`, {
    hint: 'Write it as postgres://USER@HOST:5432/DATABASE, and the password beside it.',
  })
}
