import { z } from 'zod'
import { secretSchema } from '../../lib/schema.ts'
import { isHost, isRepositoryName } from '../../oci/reference.ts'

export const registryMatchSchema = z.string().refine(isMatch, {
  error: 'expected a host such as ghcr.io or localhost:5000, host/path such as ghcr.io/acme, or "*"',
})

export const registrySchema = z
  .strictObject({
    username: z.string().min(1).optional().describe('User name, together with `password`.'),
    password: secretSchema.optional().describe('Password, or what the registry calls an access token.'),
    token: secretSchema.optional().describe('A bearer token that is sent as it is.'),
    identity_token: secretSchema.optional().describe('An OAuth2 refresh token that is exchanged for others.'),
    plain_http: z.boolean().optional().describe('Plain HTTP instead of HTTPS. Unset: only for this machine.'),
    ca: z.string().min(1).optional().describe('PEM file of certificate authorities, added to those of the system.'),
    cert: z.string().min(1).optional().describe('PEM file of our client certificate, together with `key`.'),
    key: z.string().min(1).optional().describe('PEM file of its key.'),
    requests_per_second: z.number().positive().optional().describe('Ceiling on requests per second to this host.'),
    concurrency: z.int().min(1).max(100).optional().describe('Transfers under way at one time. Default 3.'),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    error: 'expected both username and password, or neither',
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: 'expected both cert and key, or neither',
  })
  .refine(({ password, token, identity_token }) => [password, token, identity_token].filter(Boolean).length <= 1, {
    error: 'expected one of password, token and identity_token',
  })

/** What would go to every host that a reference names. */
const secrets = ['username', 'password', 'token', 'identity_token', 'cert', 'key'] as const

export const registriesSchema = z
  .record(registryMatchSchema, registrySchema)
  .refine((registries) => secrets.every((name) => registries['*']?.[name] === undefined), {
    error: '"*" may hold no credentials: they would go to every host. Put them under the host they are for',
    path: ['*'],
  })

function isMatch(text: string): boolean {
  const [host, ...path] = text.split('/')
  return text === '*' || (isHost(host!) && (path.length === 0 || isRepositoryName(path.join('/'))))
}
