import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'
import { SingleFlight } from '../lib/single-flight.ts'
import { digestOf } from './digest.ts'
import { parseChallenges, type Challenge } from './challenge.ts'
import type { Credential } from './credentials.ts'
import type { Limits } from './limits.ts'
import { splitScopes, unionScopes } from './scope.ts'
import { basicOf, fetchToken, realmOf, type RealmRequest, type Token } from './token.ts'

/** Takes secrets out of what is printed. `remove`, where there is one, is told when a secret no longer is one. */
export interface SecretSink {
  add(secret: string): string
  redact(text: string): string
  remove?(secret: string): void
}

export interface AuthenticatorOptions {
  host: string
  origin: string
  /** Who we are there; asked again after `limits.credentialsMs`, and when a credential was refused. */
  lookup: (repository: string) => Promise<Credential | undefined>
  send: RealmRequest
  clock: Clock
  redactor: SecretSink
  limits: Limits
}

interface Looked {
  credential: Promise<Credential | undefined>
  until: number
  /** Once it is known that there is none that the registry takes as it is. */
  isNoToken: boolean
}

interface CachedToken {
  value: string
  expiresAt: number
}

/**
 * Authorization for one registry: nothing until it asks, then what it asked for, from then on without being asked.
 * https://distribution.github.io/distribution/spec/auth/
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions
  readonly #tokens = new Map<string, CachedToken>()
  readonly #flights = new SingleFlight<string>()
  readonly #credentials = new Map<string, Looked>()
  /** Scopes that a registry wanted beside the ones that we thought of. */
  readonly #more = new Map<string, string[]>()
  #challenge: Challenge | undefined

  constructor(options: AuthenticatorOptions) {
    this.#options = options
  }

  /** The header to send at first; undefined before the registry has ever asked, without a promise where that is known. */
  current(repository: string, scopes: readonly string[]): Promise<string | undefined> | undefined {
    const found = this.#credentials.get(repository)
    const isNone = found?.isNoToken === true && found.until > this.#options.clock.monotonic()
    return isNone && this.#challenge === undefined ? undefined : this.#current(repository, scopes)
  }

  async #current(repository: string, scopes: readonly string[]): Promise<string | undefined> {
    const credential = await this.#credential(repository)
    if (credential?.token !== undefined) return `Bearer ${credential.token}`
    if (this.#challenge === undefined) return undefined
    if (this.#challenge.scheme === 'basic') return basicOf(credential)
    return this.#bearer(this.#challenge, credential, scopes)
  }

  /**
   * The header to send after a refusal, which may be the same again; undefined when there is none. `used` is what was refused.
   * Throws RemoteError `unauthorized` when the registry wants credentials and there are none, and what the token server says.
   */
  async answer(
    headers: readonly string[],
    repository: string,
    scopes: readonly string[],
    used: string | undefined,
  ): Promise<string | undefined> {
    const challenge = chooseChallenge(parseChallenges(headers))
    if (challenge === undefined) return undefined
    this.#challenge = challenge
    const lacksScope = challenge.parameters.error === 'insufficient_scope'
    if (used !== undefined) this.#forget(used, lacksScope ? undefined : repository)
    const credential = await this.#credential(repository)
    if (credential?.token !== undefined) return undefined
    if (challenge.scheme === 'basic') {
      const basic = basicOf(credential)
      if (basic === undefined) throw this.#nobody()
      return basic
    }
    if (lacksScope) this.#remember(scopes, splitScopes(challenge.parameters.scope))
    return this.#bearer(challenge, credential, scopes)
  }

  /** After a failure the registry is asked again: it may send us elsewhere for tokens by now, or want none any more. */
  async #bearer(challenge: Challenge, credential: Credential | undefined, scopes: readonly string[]): Promise<string> {
    try {
      return `Bearer ${await this.#token(challenge, credential, this.#withMore(scopes))}`
    } catch (error) {
      if (this.#challenge === challenge) this.#challenge = undefined
      throw error
    }
  }

  async #token(challenge: Challenge, credential: Credential | undefined, scopes: readonly string[]): Promise<string> {
    const { host, origin, clock, send, limits, redactor } = this.#options
    const realm = realmOf(challenge.parameters.realm, origin, host)
    const { service } = challenge.parameters
    const key = JSON.stringify([realm.href, service, scopes, identityOf(credential)])
    const cached = this.#tokens.get(key)
    if (cached !== undefined && cached.expiresAt > clock.monotonic()) return cached.value
    return this.#flights.do(key, async () => {
      const askedAt = clock.monotonic()
      const token = await fetchToken({ host, realm, service, scopes, credential, limits, redactor }, send)
      redactor.add(token.value)
      this.#keep(key, token, askedAt)
      return token.value
    })
  }

  #keep(key: string, token: Token, askedAt: number): void {
    const { limits, clock } = this.#options
    for (const [other, { expiresAt }] of this.#tokens) {
      if (other === key || expiresAt <= clock.monotonic() || this.#tokens.size >= limits.tokens) this.#drop(other)
    }
    this.#tokens.set(key, { value: token.value, expiresAt: askedAt + token.lifeMs - limits.tokenEarlyMs })
  }

  #drop(key: string): void {
    const token = this.#tokens.get(key)
    this.#tokens.delete(key)
    if (token !== undefined) this.#options.redactor.remove?.(token.value)
  }

  /** Lets go of a token that was refused, and of the credential behind it, unless only the scope was too small. */
  #forget(used: string, repository: string | undefined): void {
    for (const [key, { value }] of this.#tokens) if (used === `Bearer ${value}`) this.#drop(key)
    if (repository !== undefined) this.#credentials.delete(repository)
  }

  #remember(scopes: readonly string[], more: readonly string[]): void {
    const key = JSON.stringify(unionScopes(scopes))
    this.#more.set(key, unionScopes([...(this.#more.get(key) ?? []), ...more]))
  }

  #withMore(scopes: readonly string[]): string[] {
    return unionScopes([...scopes, ...(this.#more.get(JSON.stringify(unionScopes(scopes))) ?? [])])
  }

  #credential(repository: string): Promise<Credential | undefined> {
    const { clock, limits, lookup } = this.#options
    const known = this.#credentials.get(repository)
    if (known !== undefined && known.until > clock.monotonic()) return known.credential
    const credential = lookup(repository)
    const looked: Looked = { credential, until: clock.monotonic() + limits.credentialsMs, isNoToken: false }
    this.#credentials.set(repository, looked)
    credential.then(
      (found) => (looked.isNoToken = found?.token === undefined),
      // What failed is asked again next time.
      () => this.#credentials.delete(repository),
    )
    return credential
  }

  #nobody(): RemoteError {
    const { host } = this.#options
    return new RemoteError('unauthorized', `${host} wants credentials, and there are none for it`, {
      host,
      status: 401,
      hint: `Run "longshore login ${host}", or set username and password for it under registries.`,
    })
  }
}

/** Bearer where it is offered: its tokens are worth less to a thief than a password. */
function chooseChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return (
    challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm !== undefined) ??
    challenges.find(({ scheme }) => scheme === 'basic')
  )
}

function identityOf(credential: Credential | undefined): string {
  return credential === undefined ? 'anonymous' : digestOf(JSON.stringify(credential))
}
