import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Metrics } from '../../lib/metrics.ts'
import { challenge, type Refusal } from '../refusal.ts'
import type { Caller } from '../types.ts'
import { isLoopbackAddress, sourceOf } from './address.ts'
import { createBrowserGuard } from './browser.ts'
import { createKnownConnections } from './connections.ts'
import { readCredentials, type Credentials } from './credentials.ts'
import { createPasswords } from './passwords.ts'
import { readRights, type Grant } from './rights.ts'
import { createSlowdown } from './slowdown.ts'
import { createTokenIndex, type TokenSecret } from './tokens.ts'

/** A text that may change while we run, because it stands in a file. */
interface Text {
  current(): string
}

/** The config's `server.access`; null where nothing is configured. */
export interface Access {
  anonymous: readonly Grant[]
  tokens: readonly { name: string; token: Text; allow: readonly Grant[] }[]
  /** `passwordHash` is bcrypt's. */
  users: readonly { name: string; passwordHash: Text; allow: readonly Grant[] }[]
}

export interface GuardOptions {
  /** With null loopback may do everything, others need the admin token. */
  access: Access | null
  /** Good for everything, whatever is configured. */
  adminToken: string
  /** What we listen on: a name or an address. */
  listenHost: string
  publicUrl?: string
  /** Whether the request comes from a page of another origin that may send it. */
  isInvited?(request: IncomingMessage): boolean
  clock: Clock
  logger: Logger
  metrics: Pick<Metrics, 'loginFailed' | 'limited'>
  /** Password checks that wait for the one that runs; 64 unless said. */
  maxWaitingChecks?: number
}

export type Admission = { caller: Caller } | { refusal: Refusal }

export interface Guard {
  /** Who asks. At once for everybody but those whose password is checked, and those who failed. */
  admit(request: IncomingMessage): Admission | Promise<Admission>
  /** Whether some client must be told that it may log in. */
  readonly hasLogins: boolean
  /** Takes up a changed config from the next request on. */
  setAccess(access: Access | null): void
  close(): Promise<void>
}

/** Checks of passwords that wait for the one that runs: in all, for one source, for one account from there. */
export const maxChecks = { waiting: 64, perSource: 16, perAccount: 4 }
/** Refusals that are held back for a while. */
export const maxHeldFailures = 1_000

const loopback: Admission = { caller: { name: 'loopback', anonymous: false, may: () => true } }

export function createGuard(options: GuardOptions): Guard {
  const { clock, logger, metrics } = options
  const browser = createBrowserGuard(options)
  const passwords = createPasswords({ clock, ...maxChecks, waiting: options.maxWaitingChecks ?? maxChecks.waiting })
  const slowdown = createSlowdown(clock)
  const connections = createKnownConnections<Admission>()
  let held = 0
  let rules = readAccess(options.access, options.adminToken)

  function withoutCredentials(request: IncomingMessage): Admission {
    const refusal = rules.anonymous === undefined ? closedToOthers : browser.checkHost(request)
    return refusal === undefined ? rules.anonymous! : { refusal }
  }

  async function fail(request: IncomingMessage, credentials: Credentials): Promise<Admission> {
    const source = sourceOf(request.socket.remoteAddress)
    const delayMs = slowdown.delayMs(source)
    const count = slowdown.fail(source)
    metrics.loginFailed(credentials.scheme)
    // The name only of somebody we know: people type passwords into the wrong field.
    const user = credentials.scheme === 'basic' && rules.users.has(credentials.user) ? credentials.user : undefined
    if (Number.isInteger(Math.log2(count))) {
      logger.warn({ source, scheme: credentials.scheme, user, failures: count }, 'refused credentials that nobody has')
    }
    if (delayMs === 0) return { refusal: wrongCredentials }
    if (held >= maxHeldFailures) return turnAway(metrics, 'held_failures')
    held++
    await clock.sleep(delayMs).finally(() => held--)
    return { refusal: wrongCredentials }
  }

  async function checkPassword(request: IncomingMessage, credentials: Credentials & { scheme: 'basic' }) {
    const user = rules.users.get(credentials.user)
    // Somebody unknown takes as long as somebody known, so that time does not tell who is.
    const [stranger] = rules.users.values()
    const checked = user ?? (stranger && { name: '', hash: stranger.hash })
    if (checked === undefined) return fail(request, credentials)
    const verdict = await passwords.check(sourceOf(request.socket.remoteAddress), checked, credentials.password)
    if (verdict === 'busy') return turnAway(metrics, 'password_checks')
    return verdict === 'right' && user !== undefined ? user.admission : fail(request, credentials)
  }

  function identify(request: IncomingMessage, credentials: Credentials): Admission | Promise<Admission> {
    if (credentials.scheme === 'none') return withoutCredentials(request)
    if (credentials.scheme === 'other') return fail(request, credentials)
    const token = rules.tokens.ownerOf(credentials.scheme === 'bearer' ? credentials.token : credentials.password)
    if (token !== undefined) {
      connections.remember(request, rules.tokens, token)
      return token
    }
    if (credentials.scheme === 'bearer') return fail(request, credentials)
    const user = rules.users.get(credentials.user)
    if (user !== undefined && passwords.isKnown(user, credentials.password)) return user.admission
    return checkPassword(request, credentials)
  }

  return {
    admit(request) {
      const foreign = browser.checkOrigin(request)
      if (foreign !== undefined) return { refusal: foreign }
      if (!rules.configured && isForwarded(request)) return { refusal: behindProxy }
      if (!rules.configured && isLoopbackAddress(request.socket.remoteAddress)) {
        const refusal = browser.checkHost(request)
        return refusal === undefined ? loopback : { refusal }
      }
      const { authorization } = request.headers
      return connections.recall(request, rules.tokens) ?? identify(request, readCredentials(authorization))
    },
    get hasLogins() {
      return rules.configured && rules.hasLogins
    },
    setAccess(access) {
      rules = readAccess(access, options.adminToken)
    },
    close: () => passwords.close(),
  }
}

function turnAway(metrics: Pick<Metrics, 'limited'>, limit: string): Admission {
  metrics.limited(limit)
  return { refusal: tooMany }
}

interface User {
  name: string
  readonly hash: string
  admission: Admission
}

function readAccess(access: Access | null, adminToken: string) {
  const tokens: TokenSecret<Admission>[] = [
    { secret: () => adminToken, owner: admission('admin', [{ action: 'admin', pattern: null }]) },
    ...(access?.tokens ?? []).map(({ name, token, allow }) => ({
      secret: () => token.current(),
      owner: admission(name, allow),
    })),
  ]
  const users = (access?.users ?? []).map(({ name, passwordHash, allow }): [string, User] => [
    name,
    {
      name,
      get hash() {
        return passwordHash.current()
      },
      admission: admission(name, allow),
    },
  ])
  return {
    configured: access !== null,
    hasLogins: tokens.length > 1 || users.length > 0,
    tokens: createTokenIndex(tokens),
    users: new Map(users),
    anonymous: access === null ? undefined : admission('anonymous', access.anonymous, true),
  }
}

function admission(name: string, allow: readonly Grant[], anonymous = false): Admission {
  return { caller: { name, anonymous, may: readRights(allow) } }
}

function isForwarded({ headers }: IncomingMessage): boolean {
  for (const name in headers) {
    if (name === 'forwarded' || name === 'x-real-ip' || name.startsWith('x-forwarded-')) return true
  }
  return false
}

const closedToOthers: Refusal = {
  status: 401,
  code: 'unauthorized',
  message:
    'no access is configured here, so that only this machine itself, or the admin token, is let in: see "access" in the documentation',
  headers: { 'WWW-Authenticate': challenge },
}

const behindProxy: Refusal = {
  status: 403,
  code: 'forwarded',
  message:
    'this request came through a proxy, and no access is configured: everybody would look like this machine itself',
}

const wrongCredentials: Refusal = {
  status: 401,
  code: 'unauthorized',
  message: 'nobody here has these credentials',
  headers: { 'WWW-Authenticate': challenge },
}

const tooMany: Refusal = {
  status: 429,
  code: 'too_many_attempts',
  message: 'too many passwords are waiting to be checked: try again in a moment',
  headers: { 'Retry-After': '2' },
}
