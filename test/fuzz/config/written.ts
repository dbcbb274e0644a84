import fc from 'fast-check'
import { stringify } from 'yaml'
import { hostileText } from '../mutate/text.ts'
import { hostileTree } from '../mutate/tree.ts'

export const secret = 'hunter2-of-the-test'

const stores = {
  hub: { type: 'oci', repository: 'ghcr.io/acme/policies' },
  here: { type: 'local', repository: 'policies/a' },
  dir: { type: 'oci-layout', path: './x' },
}
const deployers = {
  prod: { type: 'oci', repository: 'registry.prod/policies' },
  copy: { type: 'oci', repository: 'registry.copy/policies' },
}
const access = fc.constantFrom(
  { anonymous: 'read', tokens: { ci: { token: '${SECRET}', allow: ['push:policies/*', 'read'] } } },
  { users: { ann: { password_hash: `$2y$05$${'a'.repeat(53)}`, allow: ['admin'] } } },
)
const limits = fc.record(
  {
    wait_max: fc.constantFrom('55s', '1m', '0.5h'),
    max_manifest: fc.constantFrom('4MiB', '1KiB'),
    max_uploads: fc.integer({ min: 1, max: 2 ** 53 - 1 }),
    max_connections: fc.integer({ min: 1, max: 1000 }),
  },
  { requiredKeys: [] },
)
const servers = fc.oneof(
  fc.record({ access, public_url: fc.constantFrom('https://policy.example.com', 'http://localhost:8085') }),
  fc.record({ access, limits, cors_origins: fc.subarray(['https://watcher.example.com']) }),
  fc.record({
    listen: fc.constantFrom('127.0.0.1:8085', '[::1]:0', '127.0.0.1:${meta.port}'),
    shutdown_timeout: fc.constantFrom('10s', '1h'),
  }),
)
const registries = fc.constantFrom(
  { 'ghcr.io': { username: 'u', password: '${SECRET}' } },
  { '*': { concurrency: 3 } },
  { 'ghcr.io/acme': { token: '${SECRET}' } },
  { 'localhost:5000': { plain_http: true, identity_token: '${SECRET}', requests_per_second: 1.5 } },
)

const sources = fc.constantFrom<unknown>(
  'hub',
  'here',
  'dir',
  { type: 'local', repository: 'policies/x' },
  { type: 'oci', repository: 'ghcr.io/acme/app', username: 'u', password: '${SECRET}' },
)

/** A few keys in each: what a document costs goes by its length. `to` and `alias` are this bundle's own: no two may have the same. */
const bundle = (to: string, alias: string) => {
  const settings = {
    kind: fc.constantFrom('opa', 'files'),
    follow: fc.constantFrom<unknown>(
      'latest',
      `sha256:${'a'.repeat(64)}`,
      '${meta.env}',
      { semver: '^1.2' },
      { semver: '*', prerelease: true },
      { pattern: '^prod-', order: 'semver' },
    ),
    schedule: fc.constantFrom<unknown>('60s', 'off', '1h', { min: '60s', max: '120s' }),
    deploy: fc.constantFrom<unknown>([], [{ to }], [{ to, form: 'source', retry: { max_attempts: 3 } }]),
    aliases: fc.constantFrom([], [alias]),
    keep: fc.constantFrom(1, 10),
    limits: fc.constantFrom({}, { max_unpacked: '1GiB', max_ratio: 5 }),
    platform: fc.constantFrom('linux/amd64', 'linux/arm/v7'),
  }
  const some = fc.subarray(Object.entries<fc.Arbitrary<unknown>>(settings), { maxLength: 3 })
  return some.chain((list) => fc.record({ store: sources, ...Object.fromEntries(list) }))
}

type Bundle = Record<string, unknown> & { store: unknown; deploy?: unknown }

/** With what the bundles name. */
function withNamed(bundles: Record<string, Bundle>): object {
  const used = Object.entries(stores).filter(([name]) => Object.values(bundles).some(({ store }) => store === name))
  const deploys = Object.values(bundles).some(({ deploy }) => deploy !== undefined)
  return {
    ...(used.length > 0 && { stores: Object.fromEntries(used) }),
    ...(deploys && { deployers }),
    bundles,
  }
}

/** Sound ones, each with a few sections only. */
export const configs = fc
  .record({
    meta: fc.oneof(
      { weight: 4, arbitrary: fc.constant({ env: 'prod', port: 8085 }) },
      {
        weight: 1,
        arbitrary: fc.constant({ env: '${meta.deep.a}', port: 8085, deep: { a: 'test', b: '${NAME:-x}' } }),
      },
    ),
    section: fc.oneof(
      servers.map((server) => ({ server })),
      registries.map((one) => ({ registries: one })),
      fc.constantFrom<object>({ log: { level: 'info' } }, { log: { level: 'debug', format: 'json' } }, { opa: {} }, {}),
    ),
    rest: fc.oneof(
      { weight: 1, arbitrary: fc.constant({}) },
      { weight: 4, arbitrary: bundle('prod', '/service/v1/bundle.tar.gz').map((one) => withNamed({ authz: one })) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(bundle('prod', '/a'), bundle('copy', '/b'))
          .map(([one, other]) => withNamed({ 'c/d': one, e: other })),
      },
    ),
  })
  .map(({ meta, section, rest }): object => ({ meta, ...section, ...rest }))
export const keys = [
  'a/look',
  'x.tar.gz',
  'server',
  'bundles',
  'stores',
  'store',
  'type',
  'repository',
  'follow',
  'schedule',
  'limits',
  'min',
  'max',
  'to',
  'listen',
  'tokens',
  'access',
  'meta',
  'registries',
  '*',
  'file',
]
export const words = [
  '${SECRET}',
  '${meta.env}',
  '${meta.deep.a}',
  '${',
  '$${',
  '${NAME}',
  '${SHORT}',
  '${LONG}',
  '${__proto__}',
  '${NAME:-',
  '}',
  'latest',
  '60s',
  'off',
  'oci',
  'local',
  '* * * * *',
  'ghcr.io/acme/app',
  'docker.io',
  '1GiB',
  '-1s',
  '/dev/null',
]
export const yamlTokens = [
  ...words,
  ': ',
  '- ',
  '? ',
  '&a ',
  '*a',
  '<<: *a',
  '!!binary x',
  '!!set',
  '? [x]\n: ',
  ': &a [*a]\n',
  '|',
  '>',
  '---\n',
  '\n',
  '  ',
  '\t',
  '#',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
]
const textsOf = (values: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { weight: 4, arbitrary: hostileTree(values, words, keys).map((value) => JSON.stringify(value) ?? '') },
    { weight: 1, arbitrary: hostileTree(values, words, keys).map((value) => stringify(value ?? null)) },
    {
      weight: 1,
      arbitrary: hostileText(
        values.map((value) => stringify(value)),
        yamlTokens,
      ),
    },
  )
export const texts = textsOf(configs)
/** Parts of configs, for the parser of YAML, which takes long. */
export const partTexts = textsOf(fc.oneof<fc.Arbitrary<unknown>[]>(servers, registries, bundle('prod', '/a')))
