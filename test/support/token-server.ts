import { createPrivateKey, randomUUID, sign, X509Certificate, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createCertificates } from './certs.ts'

export interface TokenUser {
  password: string
  /** An OAuth2 refresh token that stands for the user. */
  identityToken?: string
  /** Repository → what it may do there. */
  allow: Record<string, ('pull' | 'push' | 'delete')[]>
}

export interface TokenRequest {
  method: string
  /** Null for somebody who did not say. */
  user: string | null
  scopes: string[]
  /** What the token was good for; undefined where none was given. */
  granted?: Access[]
}

interface Access {
  type: string
  name: string
  actions: string[]
}

export interface TokenServer {
  /** What distribution calls `auth.token`. */
  settings: Record<string, unknown>
  requests: TokenRequest[]
  stop(): Promise<void>
}

const service = 'registry for tests'
const issuer = 'longshore tests'

/** Gives out tokens as Docker's token authentication has them. https://distribution.github.io/distribution/spec/auth/token/ */
export async function startTokenServer(users: Record<string, TokenUser>): Promise<TokenServer> {
  const { ca, client } = await createCertificates()
  const key = createPrivateKey(readFileSync(client.key))
  const x5c = [new X509Certificate(readFileSync(client.cert)).raw.toString('base64')]
  const requests: TokenRequest[] = []
  const server = createServer((request, response) => {
    void answer(request, users, requests).then(({ status, access, user }) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(access === undefined ? {} : tokenFor(access, user, { key, x5c })))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  return {
    settings: { realm, service, issuer, rootcertbundle: ca },
    requests,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Answer {
  status: number
  access?: Access[]
  user?: string
}

async function answer(
  request: IncomingMessage,
  users: Record<string, TokenUser>,
  requests: TokenRequest[],
): Promise<Answer> {
  const { query, who } = await read(request, users)
  const scopes = query.getAll('scope').flatMap((scope) => scope.split(' '))
  const told: TokenRequest = { method: request.method ?? '', user: who === 'nobody' ? null : who, scopes }
  requests.push(told)
  if (query.get('service') !== service) return { status: 400 }
  if (who !== 'nobody' && users[who] === undefined) return { status: 401 }
  const allow = users[who]?.allow ?? {}
  told.granted = scopes.map((scope) => {
    const [type = '', name = '', actions = ''] = scope.split(':')
    return { type, name, actions: actions.split(',').filter((action) => allow[name]?.includes(action as 'pull')) }
  })
  return { status: 200, access: told.granted, user: who }
}

/** `nobody` who says nothing; somebody who is not among the users for what does not fit. */
async function read(
  request: IncomingMessage,
  users: Record<string, TokenUser>,
): Promise<{ query: URLSearchParams; who: string }> {
  const text = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString()
  if (request.method === 'POST') {
    const query = new URLSearchParams(text)
    const known = Object.entries(users).find(([, { identityToken }]) => identityToken === query.get('refresh_token'))
    const isRefresh = query.get('grant_type') === 'refresh_token' && query.has('refresh_token')
    return { query, who: isRefresh && known !== undefined ? known[0] : 'refused' }
  }
  const query = new URL(request.url ?? '', 'http://token.invalid').searchParams
  const basic = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1]
  if (basic === undefined) return { query, who: 'nobody' }
  const [user = '', password] = Buffer.from(basic, 'base64').toString().split(':')
  return { query, who: users[user]?.password === password ? user : 'refused' }
}

/** https://distribution.github.io/distribution/spec/auth/jwt/ */
function tokenFor(access: Access[], user: string | undefined, signer: { key: KeyObject; x5c: string[] }) {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, sub: user ?? '', aud: service, jti: randomUUID(), access }
  const parts = [
    { typ: 'JWT', alg: 'ES256', x5c: signer.x5c },
    { ...claims, iat: now, nbf: now - 10, exp: now + 300 },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  const signature = sign('sha256', Buffer.from(parts.join('.')), { key: signer.key, dsaEncoding: 'ieee-p1363' })
  const token = [...parts, signature.toString('base64url')].join('.')
  return { token, access_token: token, expires_in: 300, issued_at: new Date(now * 1000).toISOString() }
}
