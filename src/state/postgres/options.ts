import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Redactor } from '../../lib/redact.ts'
import type { Secret } from '../../lib/secret.ts'

/** How to talk to a Postgres. */
export interface ConnectOptions {
  /** `postgres://…` */
  url: Secret
  /** Goes before the one in the URL. */
  password: Secret | null
  /** Paths of PEM files; null where only the URL says whether TLS is spoken. */
  tls: { ca: string | null; cert: string | null; key: string | null } | null
  /** At most, beside one for the lease. */
  connections: number
  connectTimeoutMs: number
  statementTimeoutMs: number
  /** How long what is asked waits for a database that cannot be reached. */
  reconnectTimeoutMs: number
  lease: {
    /** Not renewed for so long, it is anybody's. */
    durationMs: number
    renewMs: number
    /** How often an instance that stands by asks whether it may act. */
    pollMs: number
  }
}

export interface PostgresOptions extends ConnectOptions {
  /** Of the content that this state speaks of; another one is refused ever after. */
  contentId: string
  clock: Clock
  logger: Logger
  /** Learns the password, wherever it stands. */
  redactor: Redactor
}
