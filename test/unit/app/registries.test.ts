import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createRegistryClients } from '../../../src/app/registries.ts'
import type { Config } from '../../../src/config/config.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createMetrics } from '../../../src/lib/metrics.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { FakeClock } from '../../support/clock.ts'
import { scriptedServer } from '../../support/scripted-server.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'
import { load } from '../config/load-text.ts'

async function clients(given: string | Config = '{}') {
  const clock = new FakeClock()
  const made = await createRegistryClients(typeof given === 'string' ? await load(given) : given, {
    ...{ clock, random: () => 1, environment: readEnvironment({}), logger: silentLogger, version: '1' },
    redactor: new Redactor(),
    metrics: createMetrics(clock),
  })
  return made
}

const login = (username: string, password: string) => ({ username, password: new Secret(password) })

describe('the clients of registries', () => {
  it('open a repository once for each login', async () => {
    const registries = await clients()
    const mine = registries.repository('reg.test/a/b', login('me', 'hunter22'))
    expect(registries.repository('reg.test/a/b', login('me', 'hunter22'))).toBe(mine)
    expect(registries.repository('reg.test/a/b', login('me', 'hunter23'))).not.toBe(mine)
    expect(registries.repository('reg.test/a/c', login('me', 'hunter22'))).not.toBe(mine)
    expect(registries.repository('reg.test/a/b', {})).not.toBe(mine)
    await registries.close()
  })

  it('keep to the ceilings of a host together, whoever logs in', async () => {
    let [open, most] = [0, 0]
    const slow = async () => {
      most = Math.max(most, ++open)
      // Until there are as many at once as there may be, and for a while after that.
      await waitFor('another one', () => most >= 2)
      await new Promise((done) => setTimeout(done, 20))
      open -= 1
      return { status: 404 }
    }
    await using server = await scriptedServer({ 'HEAD /v2/a/b/manifests/v': slow })
    const registries = await clients(`registries:\n  "${server.host}": { concurrency: 2 }\n`)
    const logins = [{}, login('me', 'hunter22'), login('you', 'hunter22')]
    const looks = logins.flatMap((who) => [1, 2].map(() => registries.repository(`${server.host}/a/b`, who).head('v')))
    await Promise.all(looks)
    expect(server.requests).toHaveLength(6)
    expect(most).toBe(2)
    await registries.close()
  })

  it('log in with secrets as they are now', async () => {
    await using server = await scriptedServer({
      'GET /v2/a/b/manifests/v': { status: 401, headers: { 'www-authenticate': 'Basic' } },
    })
    const file = join(tempDir('secret'), 'password')
    const secret = new Secret({ file })
    const used = async (repository: { manifest(reference: string): Promise<unknown> }) => {
      await expect(repository.manifest('v')).rejects.toThrow('401')
      return Buffer.from(server.requests.at(-1)!.headers.authorization!.slice(6), 'base64').toString()
    }
    writeFileSync(file, 'hunter22')
    await secret.read()
    const text = `registries:\n  "${server.host}": { username: all, password: { file: ${file} } }\n`
    const config = await load(text)
    const registries = await clients(config)
    const [shared, own] = [{}, { username: 'me', password: secret }].map((who) =>
      registries.repository(`${server.host}/a/b`, who),
    )
    expect([await used(shared!), await used(own!)]).toEqual(['all:hunter22', 'me:hunter22'])
    writeFileSync(file, 'and-now-another')
    await Promise.all([secret.read(), config.registries[0]!.password!.read()])
    expect([await used(shared!), await used(own!)]).toEqual(['all:and-now-another', 'me:and-now-another'])
    await registries.close()
  })

  it('log in with what a store carries, before what the registries say', async () => {
    const challenge = { status: 401, headers: { 'www-authenticate': 'Basic' } }
    await using server = await scriptedServer({ 'GET /v2/a/b/manifests/v': challenge })
    const text = `registries:\n  "${server.host}": { username: all, password: other-one }\n`
    const registries = await clients(text)
    await expect(registries.repository(`${server.host}/a/b`, login('me', 'hunter22')).manifest('v')).rejects.toThrow(
      '401',
    )
    expect(server.requests.at(-1)!.headers.authorization).toBe(`Basic ${Buffer.from('me:hunter22').toString('base64')}`)
    await expect(registries.repository(`${server.host}/a/b`, {}).manifest('v')).rejects.toThrow('401')
    expect(server.requests.at(-1)!.headers.authorization).toBe(
      `Basic ${Buffer.from('all:other-one').toString('base64')}`,
    )
    await registries.close()
  })
})
