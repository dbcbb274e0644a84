import { IntegrityError, RemoteError, StorageError } from '../../lib/errors.ts'

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes; the last two are for 5xx, which it leaves open. */
export type RefusalCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  | 'UNAVAILABLE'
  | 'UNKNOWN'

export interface RefusalEntry {
  code: RefusalCode
  message: string
  detail?: unknown
}

/** An answer that is not a success, thrown by whoever finds out and sent in one place. */
export class Refusal extends Error {
  readonly status: number
  readonly entries: RefusalEntry[]
  readonly headers: Record<string, string>
  /** The limit that was reached, as metrics call it. */
  readonly limit: string | undefined

  constructor(status: number, entries: RefusalEntry[], headers: Record<string, string> = {}, limit?: string) {
    super(entries[0]?.message ?? '')
    this.name = 'Refusal'
    this.status = status
    this.entries = entries
    this.headers = headers
    this.limit = limit
  }
}

export function refusal(status: number, code: RefusalCode, message: string, detail?: unknown): Refusal {
  return new Refusal(status, [detail === undefined ? { code, message } : { code, message, detail }])
}

/** What a client may know of an error from below; undefined when it is our fault and goes to the log. */
export function refusalFor(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (error instanceof IntegrityError) return refusalForIntegrity(error)
  if (error instanceof RemoteError && error.code === 'busy') {
    const seconds = Math.max(1, Math.ceil((error.retryAfterMs ?? 1000) / 1000))
    const entries = [{ code: 'TOOMANYREQUESTS' as const, message: error.message }]
    return new Refusal(429, entries, { 'Retry-After': String(seconds) }, 'max_uploads')
  }
  // 4xx: the same push would fail again, and clients try again after 5xx.
  if (error instanceof StorageError && error.code === 'quota_exceeded') {
    // So that a client need not take it for a question of rights.
    return refusal(403, 'DENIED', error.message, { reason: error.code })
  }
  // Another request has a hand in the same upload.
  if (error instanceof RemoteError && error.code === 'conflict')
    return refusal(409, 'BLOB_UPLOAD_INVALID', error.message)
  if (error instanceof RemoteError && error.code === 'not_found') {
    return refusal(404, 'MANIFEST_UNKNOWN', error.message)
  }
  return undefined
}

/** The answer to what is our fault: what kind it is, never the details, which name paths. */
export function refusalForFault(error: unknown): Refusal {
  if (error instanceof StorageError && error.code === 'disk_full') {
    return refusal(507, 'UNAVAILABLE', 'the registry has no space left')
  }
  if (error instanceof StorageError && error.code === 'read_only') {
    return refusal(503, 'UNAVAILABLE', 'the registry cannot write at the moment')
  }
  if (error instanceof StorageError && error.code === 'corrupt') {
    return refusal(500, 'UNKNOWN', 'what the registry stored is damaged or gone: push it again, or see its log')
  }
  if (error instanceof StorageError && error.code === 'unreachable') {
    return new Refusal(
      503,
      [{ code: 'UNAVAILABLE', message: 'the registry cannot reach its database at the moment' }],
      {
        'Retry-After': '5',
      },
    )
  }
  return refusal(500, 'UNKNOWN', 'the registry failed; its log says why')
}

function refusalForIntegrity(error: IntegrityError): Refusal {
  if (error.code === 'digest_mismatch') return refusal(400, 'DIGEST_INVALID', error.message)
  if (error.code === 'size_mismatch') return refusal(413, 'SIZE_INVALID', error.message)
  return refusal(400, 'MANIFEST_INVALID', error.message)
}
