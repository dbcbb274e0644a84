/** A stable word that code may branch on; messages are for people and may change. */
export type ErrorCode = string

interface Options {
  cause?: unknown
  /** What the reader can do about it, as a sentence. */
  hint?: string
}

export class LongshoreError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: Options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.hint = options.hint
  }
}

/** What a line of the log says of an error besides its message: its code and what to do where it was foreseen, else all there is. */
export function logFields(error: unknown): { code: ErrorCode; hint?: string } | { err: unknown } {
  if (!(error instanceof LongshoreError)) return { err: error }
  return { code: error.code, ...(error.hint !== undefined && { hint: error.hint }) }
}

/** One thing wrong with a config, placed where the reader can find it. */
export interface Problem {
  file?: string
  line?: number
  /** Dotted path of the key: `bundles.authz.follow`. */
  key?: string
  message: string
  hint?: string
}

/** The user's own input is wrong: never retried. Exit status 2. */
export class ConfigError extends LongshoreError {
  readonly problems: Problem[]

  constructor(message: string, options: Options & { code?: ErrorCode; problems?: Problem[] } = {}) {
    super(options.code ?? 'bad_config', message, options)
    this.problems = options.problems ?? []
  }
}

export type RemoteCode =
  | 'unauthorized' // 401: no or wrong credentials
  | 'denied' // 403
  | 'not_found' // 404
  | 'conflict' // 409, 412
  | 'rate_limited' // 429
  | 'unavailable' // 5xx
  | 'network' // no connection, reset, name not found
  | 'timeout' // connect, headers or stall time-out
  | 'circuit_open' // this registry failed often, it is left alone for a while
  | 'protocol' // an answer that the specification does not allow
  | 'unsupported' // the other side cannot do what was asked (405, schema 1, …)
  | 'redirect' // a redirect that must not be followed
  | 'busy' // our own ceiling

/** A server elsewhere failed or refused. Exit status 3. */
export class RemoteError extends LongshoreError {
  declare readonly code: RemoteCode
  /** `host[:port]`, never a URL with a query. */
  readonly host: string
  readonly status: number | undefined
  readonly retryable: boolean
  /** Milliseconds that the server asked us to wait, from `Retry-After`. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: RemoteCode,
    message: string,
    at: { host: string; status?: number; retryable?: boolean; retryAfterMs?: number } & Options,
  ) {
    super(code, message, at)
    this.host = at.host
    this.status = at.status
    this.retryable = at.retryable ?? false
    this.retryAfterMs = at.retryAfterMs
  }
}

/** The other side says that trying the same again would not help. Exit status 1. */
export class FinalError extends LongshoreError {
  constructor(message: string, options: Options = {}) {
    super('refused', message, options)
  }
}

export type IntegrityCode =
  | 'digest_mismatch'
  | 'size_mismatch'
  | 'bad_manifest'
  | 'bad_archive' // gzip or tar is damaged, or breaks a limit
  | 'unsafe_path' // a name or link that leaves the folder, a device
  | 'bad_bundle' // OPA would refuse it
  | 'unsupported_artifact' // nothing in it can be served as this kind

/** Content is not what it claims to be, or may not be served: the same bytes are never retried. Exit status 4. */
export class IntegrityError extends LongshoreError {
  declare readonly code: IntegrityCode
  /** The file inside the artifact that is at fault, where there is one. */
  readonly file: string | undefined

  constructor(code: IntegrityCode, message: string, options: Options & { file?: string } = {}) {
    super(code, message, options)
    this.file = options.file
  }
}

export type StorageCode =
  | 'disk_full'
  | 'quota_exceeded'
  | 'read_only'
  | 'io'
  | 'locked' // another one is at work there
  | 'corrupt'
  | 'foreign' // it belongs to somebody else, or to a newer longshore
  | 'unreachable' // a database that cannot be asked just now
  | 'not_allowed' // a database that does not let us in, or whose certificate is not trusted
  | 'no_database' // there is no such database

/** Our own folder or database cannot do it. Exit status 1. */
export class StorageError extends LongshoreError {
  declare readonly code: StorageCode

  constructor(code: StorageCode, message: string, options: Options = {}) {
    super(code, message, options)
  }
}
