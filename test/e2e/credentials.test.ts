// Where the credentials for registries come from.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { startLongshore, type Longshore, type LongshoreOptions } from '../support/longshore.ts'
import { pushPolicy, writeFiles } from '../support/policy.ts'
import { startDistributionV3, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
})

async function start(options: LongshoreOptions): Promise<Longshore> {
  const server = await startLongshore(options)
  running.push(server)
  return server
}

needs('distribution')('credentials', () => {
  const password = 'the password of ci'
  let registry: Registry
  let home: string

  beforeAll(async () => {
    registry = await startDistributionV3({ users: { ci: password } })
    home = dockerConfig({ auths: { [registry.host]: { auth: Buffer.from(`ci:${password}`).toString('base64') } } })
    await push('one')
  })

  afterAll(() => registry?.stop())

  const dockerConfig = (content: object) => writeFiles({ 'config.json': JSON.stringify(content) })
  const push = (version: string, repository = `${registry.host}/acme/policies`) =>
    pushPolicy(version, `${repository}:latest`, { env: { DOCKER_CONFIG: home } })
  const store = () => ({ type: 'oci', repository: `${registry.host}/acme/policies` })
  const follow = (login: object = {}) => ({ authz: { store: { ...store(), ...login }, schedule: 'off' } })
  const isReleased = (server: Longshore) =>
    waitFor('the release', async () => (await server.bundle('authz')).current?.revision === 'one')

  test('come from the docker config', async () => {
    const server = await start({ config: { bundles: follow() }, env: { DOCKER_CONFIG: home } })
    await isReleased(server)
  })

  test('come from a credential helper, which is asked again each time', async () => {
    const bin = tempDir('bin')
    const answer = join(bin, 'answer')
    const helper = join(bin, 'docker-credential-test')
    writeFileSync(helper, `#!/bin/sh\n[ "$(cat)" = "${registry.host}" ] && cat ${answer}\n`)
    chmodSync(helper, 0o755)
    const say = (secret: string) =>
      writeFileSync(answer, JSON.stringify({ ServerURL: '', Username: 'ci', Secret: secret }))
    say('not that one')
    const server = await start({
      config: { bundles: follow() },
      env: {
        DOCKER_CONFIG: dockerConfig({ credHelpers: { [registry.host]: 'test' } }),
        PATH: `${bin}${delimiter}${process.env.PATH}`,
      },
    })
    expect(await server.look('authz')).toMatchObject({ outcome: 'failed', code: 'unauthorized' })
    say(password)
    await server.look('authz')
    await isReleased(server)
  })

  test("of a store itself go before the config's registries and the docker config", async () => {
    const wrong = { username: 'ci', password: 'not that one' }
    const server = await start({
      config: { bundles: follow({ username: 'ci', password }), registries: { [registry.host]: wrong } },
    })
    await isReleased(server)
  })

  test('that stand in files are read again when these change, also after a reload', async () => {
    const folder = writeFiles({ registry: 'not that one\n', token: 'the-first-token-of-ci\n' })
    const [file, token] = [join(folder, 'registry'), join(folder, 'token')]
    const login = { username: 'ci', password: { file } }
    const [byStore, byRegistries] = ['by-store', 'by-registries'].map((name) => `${registry.host}/acme/${name}`)
    for (const repository of [byStore, byRegistries]) await push('one', repository)
    const config = (more: object) => ({
      ...more,
      server: { access: { tokens: { ci: { token: { file: token }, allow: ['admin'] } } } },
      bundles: {
        one: { store: { type: 'oci', repository: byStore, ...login }, schedule: 'off' },
        two: { store: { type: 'oci', repository: byRegistries }, schedule: 'off' },
      },
      registries: { [byRegistries!]: login },
    })
    const server = await start({ config: config({}), headers: { authorization: 'Bearer the-first-token-of-ci' } })
    const admin = readFileSync(join(server.folder, 'data', 'token'), 'utf8').trim()
    const as = (secret: string) => ({ method: 'POST', headers: { authorization: `Bearer ${secret}` } })
    for (const name of ['one', 'two']) {
      expect(await server.look(name)).toMatchObject({ outcome: 'failed', code: 'unauthorized' })
    }
    // Nothing changes for the bundles: they go on with the connections that they have.
    server.writeConfig(config({ meta: { changed: 'yes' } }))
    expect(await (await server.reload()).json()).toMatchObject({ changed: [] })

    writeFileSync(file, `${password}\n`)
    writeFileSync(token, 'the-second-token-of-ci\n')
    for (const name of ['one', 'two']) {
      await waitFor(
        `the new secrets to count for ${name}`,
        async () => {
          const answer = await server.fetch(`/api/v1/bundles/${name}/look`, as(admin))
          return answer.ok && ((await answer.json()) as { outcome: string }).outcome !== 'failed'
        },
        { intervalMs: 250 },
      )
    }
    // All files are read at the same time.
    expect((await server.fetch('/api/v1/bundles/one/look', as('the-second-token-of-ci'))).status).toBe(200)
    expect((await server.fetch('/api/v1/bundles/one/look', as('the-first-token-of-ci'))).status).toBe(401)
    for (const secret of [password, 'not that one', 'token-of-ci']) {
      expect(server.process.output()).not.toContain(secret)
    }
  })
})
