import { RemoteError } from '../lib/errors.ts'
import type { Answer } from './answer.ts'
import type { SecretSink } from './auth.ts'
import type { Credential } from './credentials.ts'
import { maxErrorBytes, refused } from './errors.ts'
import type { Method } from './exchange.ts'
import { isObject } from './json.ts'
import type { Limits } from './limits.ts'
import { isInward } from './redirect.ts'

export interface Token {
  value: string
  /** Milliseconds from when it was asked for. */
  lifeMs: number
}

export interface TokenRequest {
  /** The registry that wants the token. */
  host: string
  realm: URL
  service: string | undefined
  scopes: readonly string[]
  credential: Credential | undefined
  limits: Limits
  redactor: Pick<SecretSink, 'redact'>
}

/** One request to the realm; `headers` may carry credentials for it and for nobody else. */
export type RealmRequest = (request: {
  method: Method
  url: URL
  headers: Record<string, string>
  body?: Uint8Array
  authorization?: string
}) => Promise<Answer>

/** Where tokens are to be had. Throws RemoteError `protocol` for a realm to which no credentials may be sent. */
export function realmOf(text: string | undefined, origin: string, host: string): URL {
  const refuse = (why: string) =>
    new RemoteError('protocol', `cannot log in to ${host}: its realm ${why}`, { host, status: 401 })
  if (text === undefined || text === '') throw refuse('is missing')
  let realm: URL
  try {
    realm = new URL(text, origin)
  } catch {
    throw refuse('is no URL')
  }
  const registry = new URL(origin)
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') throw refuse(`is ${realm.protocol}, not HTTP`)
  if (registry.protocol === 'https:' && realm.protocol === 'http:')
    throw refuse(`is plain HTTP (${realm.host}), though the registry is not`)
  if (realm.username !== '' || realm.password !== '') throw refuse('carries credentials of its own')
  if (isInward(registry, realm)) throw refuse(`is ${realm.host}, an address of this machine`)
  return realm
}

/**
 * Exchanges what we have for a token: https://distribution.github.io/distribution/spec/auth/token/, and with an identity
 * token https://distribution.github.io/distribution/spec/auth/oauth/. Without a credential the token is an anonymous one.
 */
export async function fetchToken(request: TokenRequest, send: RealmRequest): Promise<Token> {
  const { credential } = request
  if (credential?.identityToken !== undefined) {
    const answer = await postForToken(request, credential.identityToken, send)
    if (answer.status === 200) return readToken(answer, request)
    // Some servers know no OAuth2, and take the identity token for a password.
    if (![400, 401, 404, 405, 501].includes(answer.status)) throw await refusal(answer, request)
    await answer.discard()
  }
  const url = new URL(request.realm)
  if (request.service !== undefined) url.searchParams.append('service', request.service)
  for (const scope of request.scopes) url.searchParams.append('scope', scope)
  const authorization = basicOf(credential)
  const answer = await send({
    method: 'GET',
    url,
    headers: {},
    ...(authorization === undefined ? {} : { authorization }),
  })
  if (answer.status !== 200) throw await refusal(answer, request)
  return readToken(answer, request)
}

/** `Basic …`; undefined for an anonymous one. */
export function basicOf(credential: Credential | undefined): string | undefined {
  const password = credential?.password ?? credential?.identityToken
  if (password === undefined) return undefined
  return `Basic ${Buffer.from(`${credential?.username ?? '<token>'}:${password}`).toString('base64')}`
}

function postForToken(request: TokenRequest, identityToken: string, send: RealmRequest): Promise<Answer> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'longshore',
    refresh_token: identityToken,
  })
  if (request.service !== undefined) form.set('service', request.service)
  if (request.scopes.length > 0) form.set('scope', request.scopes.join(' '))
  return send({
    method: 'POST',
    url: request.realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
  })
}

async function readToken(answer: Answer, { host, limits }: TokenRequest): Promise<Token> {
  let json: unknown
  try {
    json = JSON.parse((await answer.bytes(limits.tokenBytes)).toString('utf8'))
  } catch (error) {
    if (error instanceof RemoteError) throw error
    json = undefined
  }
  const { token, access_token: accessToken, expires_in: expiresIn } = isObject(json) ? json : {}
  const value = [token, accessToken].find((one): one is string => typeof one === 'string' && one !== '')
  // What is no visible ASCII would end the header that it goes into.
  if (value === undefined || !/^[\x21-\x7e]+$/.test(value)) {
    throw new RemoteError('protocol', `cannot log in to ${host}: its token server gave no usable token`, {
      host,
      status: 200,
    })
  }
  const statedMs = typeof expiresIn === 'number' && Number.isFinite(expiresIn) ? expiresIn * 1000 : 0
  return { value, lifeMs: Math.max(statedMs, limits.tokenLifeMs) }
}

async function refusal(answer: Answer, { host, credential, redactor }: TokenRequest): Promise<RemoteError> {
  const body = await answer.beginning(maxErrorBytes)
  const who = credential === undefined ? 'anonymously' : `as ${credential.username ?? 'the identity token'}`
  return refused({ host, status: answer.status, what: `get a token ${who}`, body, redactor })
}
