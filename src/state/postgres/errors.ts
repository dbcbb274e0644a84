import { LongshoreError, StorageError, type StorageCode } from '../../lib/errors.ts'

interface Reason {
  code: StorageCode
  why: string
  hint: string
}

const unreachable: Omit<Reason, 'why'> = {
  code: 'unreachable',
  hint: 'See that it runs and can be reached from here; longshore goes on by itself once it is back.',
}
const untrusted: Omit<Reason, 'why'> = {
  code: 'not_allowed',
  hint: 'Name the certificate of its authority in state.tls.ca, and its host in state.url as the certificate has it.',
}
const refusedLogin: Reason = {
  code: 'not_allowed',
  why: 'it refused the login',
  hint: 'Check the user and the password of state.url and state.password, and pg_hba.conf.',
}
const readOnly: Reason = {
  code: 'read_only',
  why: 'it takes no writes: it may be a replica',
  hint: 'Name the primary in state.url.',
}
const slow: Omit<Reason, 'why'> = {
  code: 'unreachable',
  hint: 'See what it is busy with; state.statement_timeout says how long a statement may take.',
}
const damaged: Reason = { code: 'corrupt', why: 'it says that its data is damaged', hint: 'Restore it from a backup.' }
const failed: Reason = { code: 'io', why: 'its disk reported an error', hint: "Look at the database server's log." }

/** https://www.postgresql.org/docs/current/errcodes-appendix.html, and Node's own codes. */
const known: Record<string, Reason> = {
  '25006': readOnly,
  '28000': refusedLogin,
  '28P01': refusedLogin,
  '3D000': {
    code: 'no_database',
    why: 'there is no such database',
    hint: 'Create it, or name another one in state.url.',
  },
  '3F000': { code: 'no_database', why: 'there is no schema to use', hint: "Look at the user's search_path." },
  '42501': {
    code: 'not_allowed',
    why: 'the user has not the right to do that',
    hint: 'Make the user the owner of the database: ALTER DATABASE … OWNER TO …',
  },
  '53100': { code: 'disk_full', why: 'its disk is full', hint: 'Free space on the disk of the database server.' },
  '53200': { ...slow, why: 'it is out of memory' },
  '53300': {
    ...slow,
    why: 'it has too many connections',
    hint: 'Raise its max_connections, or lower state.connections.',
  },
  '55P03': { ...slow, why: 'somebody else holds a lock' },
  '57014': { ...slow, why: 'a statement took too long' },
  '58030': failed,
  XX001: damaged,
  XX002: damaged,
  ENOTFOUND: { ...unreachable, why: 'its host is not known' },
  EAI_AGAIN: { ...unreachable, why: 'its host cannot be looked up' },
  ENOENT: { ...unreachable, why: 'there is no such socket' },
  ERR_TLS_CERT_ALTNAME_INVALID: { ...untrusted, why: 'its certificate is for another host' },
  DEPTH_ZERO_SELF_SIGNED_CERT: { ...untrusted, why: 'its certificate is not trusted' },
  SELF_SIGNED_CERT_IN_CHAIN: { ...untrusted, why: 'its certificate is not trusted' },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { ...untrusted, why: 'its certificate is not trusted' },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { ...untrusted, why: 'its certificate is not trusted' },
  CERT_HAS_EXPIRED: { ...untrusted, why: 'its certificate has expired' },
}

/** A connection that ended, or never came to be. */
const lostCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EAI_AGAIN'],
  ...['ENOTFOUND', 'ENOENT', '25P03', '53300', '57P01', '57P02', '57P03', '57P05'],
])
/** The driver has no codes for these. */
const lostMessages =
  /^(?:Connection terminated|timeout exceeded when trying|timeout expired|Query read timeout|Client has encountered)/
const noTls = 'The server does not support SSL connections'

/** Whether the same may go well once the database is back. */
export function isLost(error: unknown): boolean {
  const { code = '', message = '' } = (error ?? {}) as { code?: string; message?: string }
  return lostCodes.has(code) || code.startsWith('08') || lostMessages.test(message)
}

/** Two that wanted the same: the same may go well at once. */
export function isConflict(error: unknown): boolean {
  return ['40001', '40P01'].includes((error as { code?: string }).code ?? '')
}

/** Postgres's error as one of ours; anything else, a broken constraint too, is a defect of ours and stays as it is. */
export function postgresError(error: unknown, what: string, name: string): unknown {
  if (error instanceof LongshoreError) return error
  const reason = reasonOf(error)
  if (reason === undefined) return error
  const { code, why, hint } = reason
  return new StorageError(code, `${what} failed in ${name}: ${why}`, { cause: error, hint })
}

function reasonOf(error: unknown): Reason | undefined {
  const { code = '', message = '' } = (error ?? {}) as { code?: string; message?: string }
  if (message.startsWith(noTls))
    return { ...untrusted, why: 'it speaks no TLS', hint: 'Set sslmode=disable in state.url.' }
  if (isConflict(error)) return { ...slow, why: 'others changed the same again and again' }
  return known[code] ?? (isLost(error) ? { ...unreachable, why: `no connection (${code || message})` } : undefined)
}
