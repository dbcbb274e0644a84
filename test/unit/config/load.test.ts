import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { tempDir } from '../../support/temp.ts'
import { load, problems } from './load-text.ts'

const hash = '$2b$10$5Sm2T2jEQkEQMJcXo0Uh9eN3MqUTR/tqT3IaJe6HcrArDeev9tOFO'

describe('a large file', () => {
  const bundles = Array.from({ length: 400 }, (_, at) => [
    `  team/policy-${at}:`,
    '    store: { type: oci, repository: "registry.corp/team/${meta.part}" }',
    '    follow: "1.10"',
  ]).flat()
  const text = ['meta: { part: policies }', 'bundles:', ...bundles].join('\n')

  it('is the same as if it were small', async () => {
    expect(text.length).toBeGreaterThan(32 * 1024)
    const { bundles } = await load(text)
    expect(bundles).toHaveLength(400)
    expect(bundles[399]).toMatchObject({
      name: 'team/policy-399',
      store: { repository: 'registry.corp/team/policies' },
      follow: { tag: '1.10' },
    })
  })

  it('has the line and the text of what is wrong', async () => {
    const found = await problems(`${text}\n    keep: 1.10\n  team/policy-0: {}\n`)
    expect(found).toContainEqual(expect.objectContaining({ line: 1203, key: 'bundles.team/policy-399.keep' }))
    expect(found).toContainEqual({
      file: 'longshore.yaml',
      line: 1204,
      message: 'duplicate key `team/policy-0`',
    })
  })

  it('that is no YAML is refused at its line', async () => {
    expect(await problems(`${text}\n  "open: x\n`)).toMatchObject([{ line: 1203 }])
  })
})

describe('finding the file', () => {
  const folder = tempDir('find')
  mkdirSync(join(folder, 'sub'))
  for (const [name, level] of [
    ['longshore.yaml', 'info'],
    ['named.yaml', 'warn'],
    ['sub/other.yaml', 'debug'],
  ] as const)
    writeFileSync(join(folder, name), `log: { level: ${level} }\n`)
  const find = (path: string | undefined, env: Record<string, string>, cwd = folder) =>
    loadConfig({ path, environment: readEnvironment(env), cwd })

  it('takes what is named, before LONGSHORE_CONFIG, before ./longshore.yaml', async () => {
    expect((await find('named.yaml', { LONGSHORE_CONFIG: 'sub/other.yaml' })).log.level).toBe('warn')
    expect((await find(undefined, { LONGSHORE_CONFIG: 'sub/other.yaml' })).log.level).toBe('debug')
    expect(await find(undefined, {})).toMatchObject({ file: join(folder, 'longshore.yaml'), log: { level: 'info' } })
  })

  it('takes paths relative to the file, not to where it was started', async () => {
    const config = await find('sub/other.yaml', {})
    expect(config.file).toBe(join(folder, 'sub/other.yaml'))
    expect(config.content.path).toBe(join(folder, 'sub/data'))
  })

  it('takes the defaults without any: the example, with data in the folder where it was started', async () => {
    const cwd = tempDir()
    expect(await find(undefined, {}, cwd)).toEqual({
      file: null,
      server: {
        listen: { host: '127.0.0.1', port: 8085 },
        publicUrl: null,
        corsOrigins: [],
        tls: null,
        access: null,
        limits: {
          waitMaxMs: 55_000,
          maxManifestBytes: 4 * 2 ** 20,
          maxBlobBytes: 2 * 2 ** 30,
          bundleMemoryBytes: 256 * 2 ** 20,
          uploadExpiryMs: 3_600_000,
          maxUploads: 100,
          maxDownloads: 512,
          maxWaiting: 15_000,
          maxConnections: 16_000,
          maxConnectionsPerSource: 12_000,
          headersTimeoutMs: 15_000,
          idleTimeoutMs: 10_000,
          stallTimeoutMs: 120_000,
          minRateBytes: 1024,
        },
        shutdownTimeoutMs: 10_000,
        readyTimeoutMs: 60_000,
      },
      log: { level: 'info', format: 'auto' },
      content: {
        path: join(cwd, 'data'),
        quotaBytes: null,
        repositoryQuotas: [],
        gc: {
          schedule: { kind: 'interval', minMs: 77_760_000, maxMs: 95_040_000 },
          graceMs: 3_600_000,
          untaggedMs: null,
        },
      },
      state: { type: 'sqlite' },
      registries: [],
      stores: {},
      bundles: [
        {
          name: 'example',
          kind: 'opa',
          store: { type: 'local', repository: 'policies/example' },
          storeName: null,
          follow: { tag: 'latest' },
          allowDowngrade: false,
          platform: 'linux/amd64',
          pull: true,
          schedule: { kind: 'interval', minMs: 60_000, maxMs: 120_000 },
          deploy: [],
          autoDeploy: true,
          webhooks: [],
          publish: [],
          keep: 10,
          aliases: [],
          limits: {
            maxEntries: 100_000,
            maxUnpackedBytes: 2 ** 30,
            maxRatio: 200,
            maxFileBytes: 256 * 2 ** 20,
          },
        },
      ],
      deployers: {},
      publishers: {},
      webhooks: {},
      opa: { path: null },
      reconcile: { concurrency: 4 },
    })
  })

  it.each(['', '# nothing\n', '{}', 'bundles:\n  # none yet\ndeployers:\n'])(
    'takes a file that says nothing: %j',
    async (text) => {
      expect(await load(text)).toMatchObject({ bundles: [], deployers: {} })
    },
  )
})

describe('what a file says', () => {
  it('comes out in full', async () => {
    const folder = tempDir()
    for (const name of ['cert.pem', 'key.pem', 'ca.pem', 'opa']) writeFileSync(join(folder, name), 'x')
    const text = `
server:
  listen: "[::1]:0"
  public_url: https://Policy.example.com/
  tls: { cert: cert.pem, key: ./key.pem, client_ca: ca.pem }
  access:
    anonymous: read
    tokens: { ci: { token: a-token, allow: [read, "push:policies/*"] } }
    users: { alice: { password_hash: ${hash}, allow: [admin] } }
  shutdown_timeout: 1m
registries:
  ghcr.io/acme: { username: ci, password: hunter22 }
  quay.io: { requests_per_second: 0.5, concurrency: 2 }
  "*": { plain_http: true, ca: ca.pem }
stores:
  policies: { type: oci, repository: alpine, username: u, password: p }
  folder: { type: oci-layout, path: layout }
bundles:
  authz:
    store: policies
    follow: sha256:${'a'.repeat(64)}
    schedule: off
    deploy: [{ to: prod, form: source }]
    aliases: [/service/v1/authz.tar.gz]
    limits: { max_file: 1MiB }
  files: { kind: files, store: folder, follow: "1.10", platform: linux/arm64/v8 }
deployers:
  prod: { type: oci, repository: reg.example/authz, tags: [stable], plain_http: true, referrers: false }
opa: { path: ./opa }
reconcile: { concurrency: 2 }
`
    const config = await load(text, { folder })
    const { access, ...server } = config.server
    expect(server).toMatchObject({
      listen: { host: '::1', port: 0 },
      publicUrl: 'https://policy.example.com',
      tls: { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), clientCa: join(folder, 'ca.pem') },
      shutdownTimeoutMs: 60_000,
    })
    expect(access!.anonymous).toEqual([{ action: 'read', pattern: null }])
    expect(access!.tokens[0]).toMatchObject({
      name: 'ci',
      allow: [
        { action: 'read', pattern: null },
        { action: 'push', pattern: 'policies/*' },
      ],
    })
    expect(access!.tokens[0]!.token.current()).toBe('a-token')
    expect(access!.users[0]!.passwordHash.current()).toBe(hash)
    expect(config.registries).toMatchObject([
      { match: 'ghcr.io/acme', username: 'ci', plainHttp: null, ca: null, requestsPerSecond: null },
      { match: 'quay.io', username: null, requestsPerSecond: 0.5, concurrency: 2 },
      { match: '*', username: null, password: null, plainHttp: true, ca: join(folder, 'ca.pem') },
    ])
    expect(config.bundles).toMatchObject([
      {
        name: 'authz',
        storeName: 'policies',
        store: { type: 'oci', repository: 'docker.io/library/alpine', username: 'u' },
        follow: { digest: `sha256:${'a'.repeat(64)}` },
        schedule: { kind: 'off' },
        deploy: [{ to: 'prod', form: 'source' }],
        limits: { maxFileBytes: 2 ** 20, maxEntries: 100_000 },
      },
      { kind: 'files', store: { path: join(folder, 'layout') }, follow: { tag: '1.10' }, platform: 'linux/arm64/v8' },
    ])
    expect(config.deployers).toEqual({
      prod: {
        type: 'oci',
        repository: 'reg.example/authz',
        tags: ['stable'],
        prune: false,
        referrers: false,
        plainHttp: true,
      },
    })
    expect(config.opa.path).toBe(join(folder, 'opa'))
    expect(config.reconcile.concurrency).toBe(2)
  })

  it('looks for a bare program on the path', async () => {
    expect((await load('opa: { path: opa }')).opa.path).toBe('opa')
  })

  it('may look at this machine as often as it likes', async () => {
    const store = 'store: { type: oci, repository: "localhost:5000/a" }'
    expect(await problems(`bundles: { a: { ${store}, schedule: 200ms } }`)).toEqual([])
  })

  it('may look at a remote registry every 5s, jitter or not', async () => {
    const store = 'store: { type: oci, repository: ghcr.io/a/b }'
    expect(await problems(`bundles: { a: { ${store}, schedule: 5s } }`)).toEqual([])
    expect(await problems(`bundles: { a: { ${store}, schedule: { min: 5s, max: 6s } } }`)).toEqual([])
    expect(await problems(`bundles: { a: { ${store}, schedule: { min: 4.9s, max: 6s } } }`)).toHaveLength(1)
  })

  it('may have a public_url on this machine, or with access', async () => {
    expect(await problems('server: { public_url: "http://localhost:8085" }')).toEqual([])
    expect(await problems('server: { public_url: "https://p.example", access: { anonymous: read } }')).toEqual([])
  })

  it('may listen beyond this machine', async () => {
    expect((await load('server: { listen: "0.0.0.0:80" }')).server.listen).toEqual({ host: '0.0.0.0', port: 80 })
  })

  it('gives way to --listen', async () => {
    const options = { listen: '0.0.0.0:81' }
    expect((await load('server: { listen: "0.0.0.0:80" }', { options })).server.listen.port).toBe(81)
    expect((await load('', { options })).server.listen.port).toBe(81)
    await expect(load('', { options: { listen: 'here' } })).rejects.toThrow('--listen here: expected host:port')
  })
})

describe('secrets', () => {
  it('come from variables, unquoted in braces too, and from files', async () => {
    const folder = tempDir()
    mkdirSync(join(folder, 'secrets'))
    writeFileSync(join(folder, 'secrets/lan'), 'from-file\n')
    const redactor = new Redactor()
    const text = `registries:
  ghcr.io: { username: ci, password: \${GHCR_TOKEN} }
  reg.lan: { token: { file: secrets/lan } }
`
    const { registries } = await load(text, { folder, env: { GHCR_TOKEN: 'from-env' }, options: { redactor } })
    expect(await registries[0]!.password!.read()).toBe('from-env')
    expect(registries[1]!.token!.current()).toBe('from-file')
    expect(redactor.redact('from-env and from-file')).toBe('*** and ***')
    expect(JSON.stringify(registries)).not.toMatch(/from-(env|file)/)
  })
})
