import fc from 'fast-check'
import { ConfigError } from '../../../src/lib/errors.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { findCredential } from '../../../src/oci/credentials.ts'
import { type Registries } from '../../../src/oci/settings.ts'
import { hostileJson } from '../mutate/tree.ts'
import { asyncOutcome, asyncProperty, ok, same } from '../property.ts'
import { hosts } from './references.ts'

const auths = fc.dictionary(
  fc.oneof(hosts, fc.constantFrom('https://index.docker.io/v1/', 'ghcr.io/acme', 'https://ghcr.io', 'ghcr.io')),
  fc.record(
    {
      auth: fc
        .tuple(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }))
        .map((pair) => Buffer.from(pair.join(':')).toString('base64')),
      username: fc.string(),
      password: fc.string(),
      identitytoken: fc.string(),
      registrytoken: fc.string(),
    },
    { requiredKeys: [] },
  ),
  { maxKeys: 4 },
)
const dockerConfigs = fc.record(
  {
    auths,
    credHelpers: fc.dictionary(hosts, fc.constantFrom('x', '../x', '')),
    credsStore: fc.constantFrom('x', '', '-x'),
  },
  { requiredKeys: [] },
)
const configKeys = [
  'auths',
  'auth',
  'credHelpers',
  'credsStore',
  'ghcr.io',
  'https://ghcr.io/v2/',
  'identitytoken',
  'registrytoken',
  'username',
  'password',
]

/** Keys as tools write them, and how near they are to ghcr.io/acme/app: 3 names the repository itself, undefined something else. */
const meanings: [key: string, nearness: number | undefined][] = [
  ['ghcr.io/acme/app', 3],
  ['GHCR.io/acme', 2],
  ['ghcr.io/acme/', 2],
  ['ghcr.io', 1],
  ['GHCR.IO', 1],
  ['https://ghcr.io', 1],
  ['http://ghcr.io/', 1],
  ['https://ghcr.io/v2/', 1],
  ['ghcr.io/v1', 1],
  ['https://ghcr.io/other', 1],
  ['ghcr.io/acm', undefined],
  ['ghcr.io/acme/apps', undefined],
  ['ghcr.io/app', undefined],
  ['ghcr.io.evil.example', undefined],
  ['evil-ghcr.io', undefined],
  ['evil.example/ghcr.io', undefined],
  ['https://evil.example/ghcr.io/acme/app', undefined],
  ['ghcr.io:443', undefined],
  ['hcr.io', undefined],
  ['io', undefined],
  ['*', undefined],
  ['', undefined],
]
const entryOf = (key: string, form: string) => {
  if (form === 'token') return { registrytoken: key }
  if (form === 'identity') return { identitytoken: key }
  return form === 'auth' ? { auth: Buffer.from(`u:${key}`).toString('base64') } : { username: 'u', password: key }
}

export const credentialProperties = [
  asyncProperty(
    'docker configs that were written',
    fc.tuple(fc.shuffledSubarray(meanings, { maxLength: 6 }), fc.constantFrom('auth', 'plain', 'token', 'identity')),
    async ([list, form]) => {
      const auths = Object.fromEntries(list.map(([key]) => [key, entryOf(key, form)]))
      const found = await findCredential(
        {
          registries: {},
          dockerConfig: { paths: [], inline: JSON.stringify({ auths }) },
          redactor: new Redactor(),
          logger: { warn: () => undefined },
        },
        'ghcr.io',
        'acme/app',
      )
      const nearest = Math.max(0, ...list.map(([, nearness]) => nearness ?? 0))
      const key = list.find(([, nearness]) => nearness === nearest)?.[0]
      same(found?.password ?? found?.token ?? found?.identityToken, key)
    },
  ),
  asyncProperty(
    'docker configs',
    fc.tuple(
      hostileJson(dockerConfigs, ['Z2g6cHc=', 'ghcr.io', ':'], configKeys),
      fc.constantFrom(
        '{"Username":"u","Secret":"s"}',
        '{"Username":"<token>","Secret":"s"}',
        '{}',
        'credentials not found',
        '',
        '[]',
      ),
      fc.record({
        host: fc.constantFrom('ghcr.io', 'ghcr.io', 'docker.io'),
        own: fc.constantFrom<Registries>(
          {},
          {},
          {},
          { 'ghcr.io': { username: 'u', password: 'p' } },
          { 'ghcr.io/acme': { token: 't' } },
          { 'ghcr.io': { identityToken: 'i' } },
        ),
        place: fc.oneof(
          { weight: 30, arbitrary: fc.constant('inline') },
          { weight: 1, arbitrary: fc.constantFrom('missing', 'folder', 'read') },
        ),
      }),
    ),
    async ([text, stdout, { host, own, place }]) => {
      const paths = place === 'inline' ? [] : place === 'folder' ? ['/'] : ['/nowhere/config.json']
      const inline = place === 'inline' ? text : ''
      const credential = await asyncOutcome(
        () =>
          findCredential(
            {
              registries: own,
              dockerConfig: { paths, inline },
              redactor: new Redactor(),
              logger: { warn: () => undefined },
              ...(place === 'read' && { readConfig: async () => ({ auths: { 'ghcr.io': { registrytoken: text } } }) }),
              runHelper: async () => ({
                outcome: stdout.startsWith('{') ? 'done' : stdout === '[]' ? 'missing' : 'failed',
                stdout,
              }),
            },
            host,
            'acme/app',
          ),
        ConfigError,
      )
      if (credential === undefined) return
      ok(Object.values(credential).every((one) => typeof one === 'string'))
      ok(
        Object.keys(own).length > 0 ||
          place === 'read' ||
          /ghcr\.io|docker\.io/i.test(inline) ||
          inline.includes('credsStore'),
      )
    },
  ),
]
