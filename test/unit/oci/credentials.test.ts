import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { runHelper, type RunHelper } from '../../../src/oci/credential-helper.ts'
import { removeCredentials, saveCredentials } from '../../../src/oci/credential-store.ts'
import {
  createConfigReader,
  findCredential,
  readDockerConfig,
  type CredentialsOptions,
} from '../../../src/oci/credentials.ts'
import { checkRegistries, originOf, settingsFor } from '../../../src/oci/settings.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import { failureOf } from './setup.ts'

const basic = (pair: string) => ({ auth: Buffer.from(pair).toString('base64') })
const mine = { username: 'me', password: 'secret' }

function find(config: unknown, host: string, repository = 'acme/app', more: Partial<CredentialsOptions> = {}) {
  const dockerConfig = { paths: [], inline: JSON.stringify(config) }
  const options = { registries: {}, dockerConfig, redactor: new Redactor(), logger: silentLogger, ...more }
  return findCredential(options, host, repository)
}

describe('the docker config', () => {
  it.each([
    ['ghcr.io', 'ghcr.io'],
    ['https://ghcr.io', 'ghcr.io'],
    ['https://ghcr.io/v2/', 'ghcr.io'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['index.docker.io', 'docker.io'],
    ['http://localhost:5000', 'localhost:5000'],
  ])('knows by %s who we are at %s', async (key, host) => {
    expect(await find({ auths: { [key]: basic('me:secret') } }, host)).toEqual(mine)
  })

  it('takes the longest path of whole components', async () => {
    const auths = {
      'ghcr.io': basic('host:1'),
      'ghcr.io/acme': basic('acme:2'),
      'ghcr.io/acme/app/deep': basic('deep:3'),
    }
    expect(await find({ auths }, 'ghcr.io', 'acme/app')).toMatchObject({ username: 'acme' })
    expect(await find({ auths }, 'ghcr.io', 'acme/app/deep')).toMatchObject({ username: 'deep' })
    expect(await find({ auths }, 'ghcr.io', 'acme2/app')).toMatchObject({ username: 'host' })
  })

  it.each(['ghcr.io.evil.com', 'evil-ghcr.io', 'hcr.io', 'ghcr.io:444'])(
    'never matches a part of a name: %s',
    async (host) => {
      expect(await find({ auths: { 'ghcr.io': basic('me:secret') } }, host)).toBeUndefined()
    },
  )

  it('is read at most once a second, however many ask', async () => {
    const clock = new FakeClock()
    const read = createConfigReader(clock)
    const path = join(tempDir('docker'), 'config.json')
    await writeFile(path, '{"auths":{}}')
    expect(await read(path)).toEqual({ auths: {} })
    await writeFile(path, '{"credsStore":"x"}')
    expect(await read(path)).toEqual({ auths: {} })
    await clock.advance(1000)
    expect(await read(path)).toEqual({ credsStore: 'x' })
  })

  it('splits at the first colon', async () => {
    expect(await find({ auths: { 'ghcr.io': basic('me:a:b') } }, 'ghcr.io')).toEqual({
      username: 'me',
      password: 'a:b',
    })
  })

  it('knows identity tokens and registry tokens, and passes over empty entries', async () => {
    expect(await find({ auths: { 'ghcr.io': { ...basic('me:'), identitytoken: 'id' } } }, 'ghcr.io')).toEqual({
      username: 'me',
      identityToken: 'id',
    })
    expect(await find({ auths: { 'ghcr.io': { registrytoken: 'raw' } } }, 'ghcr.io')).toEqual({ token: 'raw' })
    expect(await find({ auths: { 'ghcr.io': {} } }, 'ghcr.io')).toBeUndefined()
  })

  it('says which file is broken, and nothing of what it holds', async () => {
    const options = {
      registries: {},
      dockerConfig: { paths: [], inline: '{"auths": secret' },
      redactor: new Redactor(),
      logger: silentLogger,
    }
    const error = await failureOf(findCredential(options, 'ghcr.io', 'a'))
    expect(error).toMatchObject({ name: 'ConfigError', message: 'DOCKER_AUTH_CONFIG is not JSON' })
    expect(String(error.cause)).not.toContain('secret')
  })

  it('hides what it finds', async () => {
    const redactor = new Redactor()
    await find({ auths: { 'ghcr.io': basic('me:hidden') } }, 'ghcr.io', 'a', { redactor })
    expect(redactor.redact('a hidden word')).toBe('a *** word')
  })

  it('comes after the config of longshore', async () => {
    const registries = { 'ghcr.io/acme': { username: 'ours', password: 'x' } }
    expect(
      await find({ auths: { 'ghcr.io': basic('me:secret') } }, 'ghcr.io', 'acme/app', { registries }),
    ).toMatchObject({ username: 'ours' })
    expect(await find({ auths: { 'ghcr.io': basic('me:secret') } }, 'ghcr.io', 'other', { registries })).toEqual(mine)
  })
})

describe('credential helpers', () => {
  const config = { credHelpers: { 'ghcr.io': 'ghcr' }, credsStore: 'desktop', auths: { 'quay.io': basic('file:1') } }
  const helpers = (answers: Record<string, string>) => {
    const calls: string[] = []
    const run: RunHelper = (suffix, verb, input) => {
      calls.push(`${suffix} ${verb} ${input}`)
      const stdout = answers[`${suffix} ${input}`]
      return Promise.resolve({
        outcome: stdout === undefined ? 'failed' : 'done',
        stdout: stdout ?? 'credentials not found in native keychain',
      })
    }
    return { calls, run }
  }
  const answer = (Username: string, Secret: string) => JSON.stringify({ Username, Secret })

  it('asks the one for the host, then the store, then reads the file', async () => {
    const { calls, run } = helpers({
      'desktop https://index.docker.io/v1/': answer('hub', 'x'),
      'ghcr ghcr.io': answer('<token>', 'id'),
    })
    expect(await find(config, 'ghcr.io', 'a', { runHelper: run })).toEqual({ identityToken: 'id' })
    expect(await find(config, 'docker.io', 'a', { runHelper: run })).toEqual({ username: 'hub', password: 'x' })
    expect(await find(config, 'quay.io', 'a', { runHelper: run })).toEqual({ username: 'file', password: '1' })
    expect(calls).toEqual(['ghcr get ghcr.io', 'desktop get https://index.docker.io/v1/', 'desktop get quay.io'])
  })

  it('passes over a store that is not installed, but not a helper', async () => {
    const run: RunHelper = () => Promise.resolve({ outcome: 'missing', stdout: '' })
    expect(await find(config, 'quay.io', 'a', { runHelper: run })).toMatchObject({ username: 'file' })
    expect(await failureOf(find(config, 'ghcr.io', 'a', { runHelper: run }))).toMatchObject({
      code: 'credential_helper',
    })
  })

  it.each(['../evil', 'a/b', '-x', '', 'a b', 'a;b'])('never runs a program by the name of %j', (suffix) => {
    expect(() => runHelper(suffix, 'get', 'ghcr.io')).toThrow(expect.objectContaining({ name: 'ConfigError' }) as Error)
  })

  it('says that a program is missing', async () => {
    expect(await runHelper('longshore-no-such-helper', 'get', 'ghcr.io')).toMatchObject({ outcome: 'missing' })
  })
})

describe('login and logout', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'longshore-'))
    path = join(folder, 'docker', 'config.json')
  })
  afterEach(() => rm(folder, { recursive: true }))
  const stored = async () => JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>

  it('writes what docker reads, for its owner only, and keeps the rest', async () => {
    await saveCredentials('ghcr.io', mine, { path })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await writeFile(path, JSON.stringify({ ...(await stored()), HttpHeaders: { a: 'b' } }))
    await saveCredentials('docker.io', { username: 'hub', password: 'x' }, { path })
    expect(await stored()).toEqual({
      HttpHeaders: { a: 'b' },
      auths: { 'ghcr.io': basic('me:secret'), 'https://index.docker.io/v1/': basic('hub:x') },
    })
    expect(await find(await stored(), 'ghcr.io')).toEqual(mine)
    expect(await removeCredentials('index.docker.io', { path })).toBe(true)
    expect(await removeCredentials('docker.io', { path })).toBe(false)
    expect(await stored()).toEqual({ HttpHeaders: { a: 'b' }, auths: { 'ghcr.io': basic('me:secret') } })
  })

  it('keeps an identity token so that it is found again', async () => {
    await saveCredentials('ghcr.io', { username: 'me', identityToken: 'id' }, { path })
    expect(await find(await stored(), 'ghcr.io')).toEqual({ username: 'me', identityToken: 'id' })
  })

  it('gives the secret to the helper, and not to the file', async () => {
    await saveCredentials('ghcr.io', { username: 'old', password: 'plain' }, { path })
    await writeFile(path, JSON.stringify({ ...(await stored()), credsStore: 'keys' }))
    const calls: string[] = []
    const run: RunHelper = (suffix, verb, input) => {
      calls.push(`${suffix} ${verb} ${input}`)
      return Promise.resolve({ outcome: 'done', stdout: '' })
    }
    expect(await saveCredentials('ghcr.io', mine, { path, runHelper: run })).toEqual({
      where: 'docker-credential-keys',
    })
    expect(await stored()).toEqual({ credsStore: 'keys', auths: { 'ghcr.io': {} } })
    expect(await removeCredentials('ghcr.io', { path, runHelper: run })).toBe(true)
    expect(calls).toEqual([
      `keys store ${JSON.stringify({ ServerURL: 'ghcr.io', Username: 'me', Secret: 'secret' })}`,
      'keys erase ghcr.io',
    ])
  })

  it('says why a file cannot be read', async () => {
    await mkdir(path, { recursive: true })
    const failure = await failureOf(readDockerConfig(path))
    expect(failure).toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/docker config .*: a folder is/) as string,
    })
  })

  it('does not throw away a file that it cannot read', async () => {
    await saveCredentials('ghcr.io', mine, { path })
    await writeFile(path, 'not JSON')
    expect(await failureOf(saveCredentials('quay.io', mine, { path }))).toMatchObject({ name: 'ConfigError' })
    expect(await readFile(path, 'utf8')).toBe('not JSON')
  })
})

describe('settings', () => {
  const registries = {
    '*': { concurrency: 1 },
    'ghcr.io': { requestsPerSecond: 5, username: 'host', password: 'x' },
    'ghcr.io/acme': { token: 'path' },
    'index.docker.io': { concurrency: 9 },
  }

  it('merges from the least to the most specific, but never two logins', () => {
    expect(settingsFor(registries, 'ghcr.io', 'acme/app')).toEqual({
      concurrency: 1,
      requestsPerSecond: 5,
      token: 'path',
    })
    expect(settingsFor(registries, 'ghcr.io', 'acme2')).toMatchObject({ username: 'host' })
    expect(settingsFor(registries, 'quay.io', 'a')).toEqual({ concurrency: 1 })
    expect(settingsFor(registries, 'docker.io', 'library/a')).toEqual({ concurrency: 9 })
  })

  it('refuses credentials for every host, and what is no host', () => {
    const refused = expect.objectContaining({ name: 'ConfigError' }) as Error
    expect(() => checkRegistries({ '*': { password: 'x' } })).toThrow(refused)
    expect(() => checkRegistries({ 'https://ghcr.io': {} })).toThrow(refused)
    expect(() => checkRegistries({ 'ghcr.io': { cert: 'x' } })).toThrow(refused)
    expect(() => checkRegistries(registries)).not.toThrow()
  })

  it('speaks plain HTTP only to this machine, and where it was told to', () => {
    expect(originOf('localhost:5000', {})).toBe('http://localhost:5000')
    expect(originOf('localhost:5000', { ca: 'pem' })).toBe('https://localhost:5000')
    expect(originOf('localhost:5000', { plainHttp: false })).toBe('https://localhost:5000')
    expect(originOf('docker.io', {})).toBe('https://registry-1.docker.io')
    expect(originOf('reg.corp:80', { plainHttp: true })).toBe('http://reg.corp')
    expect(originOf('127.0.0.1.evil.com', {})).toBe('https://127.0.0.1.evil.com')
  })
})
