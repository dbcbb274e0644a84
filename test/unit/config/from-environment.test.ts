import { describe, expect, it } from 'vitest'
import { Redactor } from '../../../src/lib/redact.ts'
import { load, problems } from './load-text.ts'

const place = (more = '') => `deployers:\n  there:\n    type: nomad\n    job: web\n    task: server\n${more}`
const env = {
  NOMAD_ADDR: 'https://nomad.test:4646',
  NOMAD_TOKEN: 'nomad-token-of-env',
  VAULT_TOKEN: 'vault-token-of-env',
  NOMAD_NAMESPACE: 'shop',
  NOMAD_REGION: 'eu',
  NOMAD_CACERT: 'ca.pem',
  NOMAD_CLIENT_CERT: '/tls/cert.pem',
  NOMAD_CLIENT_KEY: '/tls/key.pem',
  NOMAD_TLS_SERVER_NAME: 'server.eu.nomad',
}

async function made(text: string, variables: Record<string, string>) {
  const { there } = (await load(text, { env: variables })).deployers
  if (there?.type !== 'nomad') throw new Error('not a job')
  return there
}

describe('a job of Nomad', () => {
  it('takes from the environment what the file does not say, and its secrets are known', async () => {
    const redactor = new Redactor()
    const { deployers } = await load(place(), { env, options: { redactor } })
    const there = deployers.there as Awaited<ReturnType<typeof made>>
    expect(there).toMatchObject({
      ...{ address: 'https://nomad.test:4646', namespace: 'shop', region: 'eu', serverName: 'server.eu.nomad' },
      // As where longshore was started has it.
      ...{ ca: 'ca.pem', cert: '/tls/cert.pem', key: '/tls/key.pem' },
    })
    expect([there.token?.current(), there.vaultToken?.current()]).toEqual([env.NOMAD_TOKEN, env.VAULT_TOKEN])
    expect(redactor.redact(`${env.NOMAD_TOKEN} ${env.VAULT_TOKEN}`)).toBe('*** ***')
  })

  it('is what the file says, and nothing of the environment where it is empty', async () => {
    const text = place('    address: http://other.test\n    token: own-token\n    cert: a.pem\n    key: b.pem\n')
    const there = await made(text, { ...env, NOMAD_REGION: '' })
    expect(there).toMatchObject({ address: 'http://other.test', namespace: 'shop' })
    expect(there.region).toBeUndefined()
    expect(there.token?.current()).toBe('own-token')
    expect(there.cert).toMatch(/\/a\.pem$/)
    expect(await made(place(), {})).toMatchObject({ address: 'http://127.0.0.1:4646' })
    expect((await made(place(), {})).token).toBeUndefined()
  })

  it('takes a certificate and its key together, or neither', async () => {
    const { NOMAD_CLIENT_KEY: _key, ...rest } = env
    const { cert, key } = await made(place(), rest)
    expect([cert, key]).toEqual([undefined, undefined])
    expect(await problems(place('    cert: a.pem\n'), { env })).toMatchObject([
      { message: 'expected both cert and key, or neither' },
    ])
  })

  it('says which variable is wrong, and not what it holds', async () => {
    const [problem] = await problems(place(), { env: { NOMAD_ADDR: 'https://me:secret-word@nomad.test' } })
    expect(problem).toMatchObject({ key: 'deployers.there.address', message: expect.stringMatching(/^expected a URL/) })
    expect(JSON.stringify(problem)).not.toContain('secret-word')
  })

  it('is none of the business of other places', async () => {
    const text = 'deployers: { prod: { type: oci, repository: registry.test/a } }\n'
    expect((await load(text, { env })).deployers.prod).not.toHaveProperty('address')
  })
})
