// A registry that lets nobody in without a token from elsewhere, as most of them in the world do.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { longshore, startLongshore, type Longshore, type LongshoreOptions } from '../support/longshore.ts'
import { policyFiles, pushPolicy, writeFiles } from '../support/policy.ts'
import { startDistributionV3, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { startTokenServer, type TokenServer } from '../support/token-server.ts'
import { waitFor } from '../support/wait.ts'

const password = 'the password of ci'
const identityToken = 'an-identity-token-of-the-robot'

needs('distribution', 'oras')('with Bearer tokens', () => {
  let tokens: TokenServer
  let registry: Registry
  let ci: Record<string, string>
  const running: Longshore[] = []

  beforeAll(async () => {
    tokens = await startTokenServer({
      ci: { password, allow: { 'acme/policies': ['pull', 'push'], 'prod/policies': ['pull', 'push'] } },
      reader: { password: 'the password of reader', allow: { 'acme/policies': ['pull'] } },
      robot: { password: 'unused', identityToken, allow: { 'acme/policies': ['pull'] } },
    })
    registry = await startDistributionV3({ token: tokens.settings })
    const auth = Buffer.from(`ci:${password}`).toString('base64')
    const config = JSON.stringify({ auths: { [registry.host]: { auth } } })
    ci = { DOCKER_CONFIG: writeFiles({ 'config.json': config }), DOCKER_AUTH_CONFIG: '', REGISTRY_AUTH_FILE: '' }
    await pushPolicy('one', `${registry.host}/acme/policies:latest`, { env: ci })
  })

  afterEach(async () => {
    await Promise.all(running.splice(0).map((server) => server.stop()))
  })

  afterAll(async () => {
    await registry?.stop()
    await tokens?.stop()
  })

  async function start(options: LongshoreOptions): Promise<Longshore> {
    const server = await startLongshore(options)
    running.push(server)
    return server
  }

  const authz = () => ({ store: { type: 'oci', repository: `${registry.host}/acme/policies` }, schedule: 'off' })
  const startAs = (settings: object) =>
    start({ config: { bundles: { authz: authz() }, registries: { [registry.host]: settings } } })

  test('a bundle is read, and one token does for many looks', async () => {
    const server = await startAs({ username: 'ci', password })
    const before = tokens.requests.length
    for (let looks = 0; looks < 5; looks++) {
      expect((await server.look('authz')).outcome).toMatch(/released|unchanged/)
    }
    const asked = tokens.requests.slice(before)
    expect(asked.length).toBeLessThanOrEqual(1)
    for (const { scopes } of asked) expect(scopes).toEqual(['repository:acme/policies:pull'])
    expect((await server.bundle('authz')).current).toMatchObject({ revision: 'one' })
  })

  test('an identity token is exchanged for others', async () => {
    const server = await startAs({ identity_token: identityToken })
    await waitFor('the release', async () => (await server.bundle('authz')).current !== null)
    expect(tokens.requests).toContainEqual(expect.objectContaining({ method: 'POST', user: 'robot' }))
    expect(server.process.output()).not.toContain(identityToken)
  })

  test.each([
    ['a wrong password', { username: 'ci', password: 'not that one' }],
    ['no credentials', {}],
  ])('with %s nothing comes, and the reason is told', async (_what, settings) => {
    const server = await startAs(settings)
    const look = await server.look('authz')
    expect(look).toMatchObject({ outcome: 'failed' })
    expect(look.code).toMatch(/unauthorized|denied/)
    expect(look.message).toContain(registry.host)
    expect(server.process.output()).not.toContain('not that one')
  })

  test('a release is deployed beside its source, by mounting what is there', async () => {
    const server = await start({
      config: {
        bundles: { authz: { ...authz(), deploy: [{ to: 'prod' }] } },
        deployers: { prod: { type: 'oci', repository: `${registry.host}/prod/policies` } },
        registries: { [registry.host]: { username: 'ci', password } },
      },
    })
    await waitFor('the deployment', async () => (await server.bundle('authz')).deployments[0]?.state === 'done')
    const linesOf = (path: string) =>
      registry.process
        .output()
        .split('\n')
        .filter((line) => line.startsWith('127.0.0.1') && line.includes(path))
    // The last that it is asked.
    await waitFor('its log', () => linesOf('PUT /v2/prod/policies/manifests/').length > 0)
    const uploads = linesOf('/v2/prod/policies/blobs/uploads/')
    expect(uploads.length).toBeGreaterThan(0)
    for (const line of uploads) expect(line).toMatch(/POST [^ ]*mount=sha256.* 201 /)
    expect(tokens.requests.flatMap(({ scopes }) => scopes)).toEqual(
      expect.arrayContaining(['repository:acme/policies:pull', 'repository:prod/policies:pull,push']),
    )
    const pulled = tempDir('pulled')
    await execOk(component('oras'), ['pull', '--plain-http', `${registry.host}/prod/policies:latest`, '-o', pulled], {
      env: ci,
    })
    expect(readFileSync(join(pulled, 'policy.rego'), 'utf8')).toBe(policyFiles('one')['policy.rego'])
  })

  test('whoever may only read cannot deploy: told, and tried again later', async () => {
    const server = await start({
      config: {
        bundles: { authz: { ...authz(), deploy: [{ to: 'prod' }] } },
        deployers: { prod: { type: 'oci', repository: `${registry.host}/elsewhere/policies` } },
        registries: { [registry.host]: { username: 'reader', password: 'the password of reader' } },
      },
    })
    const failed = await waitFor('the failure', async () => {
      const [row] = (await server.bundle('authz')).deployments
      return row?.state === 'failed' && row
    })
    expect(failed.lastError).toContain(registry.host)
    expect(failed.nextAttemptAt).not.toBeNull()
  })

  test('longshore logs in, and says when it may not', async () => {
    const env = { DOCKER_CONFIG: tempDir('docker'), DOCKER_AUTH_CONFIG: '', REGISTRY_AUTH_FILE: '' }
    const login = (typed: string) =>
      longshore(['login', registry.host, '-u', 'ci', '--password-stdin'], { env, stdin: typed })
    const refused = await login('not that one')
    expect(refused.code).toBe(3)
    expect(refused.stderr).not.toContain('not that one')
    const accepted = await login(password)
    expect(accepted.code, accepted.stderr).toBe(0)
    expect((await longshore(['tags', `${registry.host}/acme/policies`], { env })).stdout).toBe('latest\n')
  })
})
