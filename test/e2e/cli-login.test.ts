// login and logout against a registry with passwords.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCertificates } from '../support/certs.ts'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { longshore } from '../support/longshore.ts'
import { startDistributionV2, startDistributionV3, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const password = 'correct horse: battery'

needs(
  'distribution',
  'docker-registry',
  'oras',
)('login', () => {
  let registry: Registry

  beforeAll(async () => {
    registry = await startDistributionV3({ users: { ci: password } })
  })

  afterAll(() => registry?.stop())

  function home() {
    const folder = tempDir('docker')
    const env = { DOCKER_CONFIG: folder, HOME: folder, DOCKER_AUTH_CONFIG: undefined, XDG_RUNTIME_DIR: undefined }
    const login = (typed: string, ...args: string[]) =>
      longshore(['login', registry.host, '-u', 'ci', '--password-stdin', ...args], { env, stdin: typed })
    return { folder, env, login, file: join(folder, 'config.json') }
  }

  test('keeps what the registry accepts, where oras and we find it, and logout forgets it', async () => {
    const { folder, env, login, file } = home()
    expect((await longshore(['tags', `${registry.host}/a/b`], { env })).code).toBe(3)
    const done = await login(`${password}\n`)
    expect(done.code, done.stderr).toBe(0)
    expect(done.stdout + done.stderr).not.toContain(password)
    expect(done.stdout).toContain(file)
    expect(statSync(file).mode & 0o777).toBe(0o600)

    writeFileSync(join(folder, 'data.json'), '{}')
    const reference = `${registry.host}/acme/files:1`
    await execOk(component('oras'), ['push', '--plain-http', reference, 'data.json'], { cwd: folder, env })
    expect((await longshore(['tags', `${registry.host}/acme/files`], { env })).stdout).toBe('1\n')

    expect((await longshore(['logout', registry.host], { env })).code).toBe(0)
    expect((await longshore(['tags', `${registry.host}/acme/files`], { env })).code).toBe(3)
  })

  test('a wrong password ends with 3, says so, and is not kept', async () => {
    const { login, file } = home()
    const refused = await login('wrong-password')
    expect(refused.code).toBe(3)
    expect(refused.stderr).toContain('does not accept')
    expect(refused.stdout + refused.stderr).not.toContain('wrong-password')
    expect(existsSync(file)).toBe(false)
  })

  test('a wrong password does not push out the right one', async () => {
    const { env, login } = home()
    await login(password)
    expect((await login('wrong-password')).code).toBe(3)
    expect((await login(password, '--json')).code).toBe(0)
    expect((await longshore(['tags', `${registry.host}/acme/nothing`, '--json'], { env })).stdout).toContain(
      'not_found',
    )
  })

  test('hands the password to the helper that the docker config names, and not to the file', async () => {
    const { folder, env, login, file } = home()
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    const helper = join(bin, 'docker-credential-test')
    writeFileSync(helper, `#!/bin/sh\necho "$1" >> ${folder}/asked\n[ "$1" = erase ] || cat > ${folder}/stored\n`)
    chmodSync(helper, 0o755)
    writeFileSync(file, JSON.stringify({ credHelpers: { [registry.host]: 'test' } }))
    env.HOME = folder
    Object.assign(env, { PATH: `${bin}${delimiter}${process.env.PATH}` })
    const done = await login(password)
    expect(done.code, done.stderr).toBe(0)
    expect(JSON.parse(readFileSync(join(folder, 'stored'), 'utf8'))).toEqual({
      ServerURL: registry.host,
      Username: 'ci',
      Secret: password,
    })
    expect(readFileSync(file, 'utf8')).not.toContain(Buffer.from(`ci:${password}`).toString('base64'))
    expect((await longshore(['logout', registry.host], { env })).code).toBe(0)
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('store\nerase\n')
  })

  test('says when a registry lets anybody in', async () => {
    const open = await startDistributionV2()
    const { env } = home()
    const done = await longshore(['login', open.host, '-u', 'ci', '--password-stdin', '--json'], { env, stdin: 'any' })
    expect(JSON.parse(done.stdout)).toMatchObject({ host: open.host, verified: false })
    expect(done.stderr).toContain('could not be asked')
    await open.stop()
  })

  test("the config's registries hold for commands: who we are, and whom to trust", async () => {
    const { ca, server } = await createCertificates()
    const trusted = await startDistributionV3({ users: { ci: password }, tls: server })
    const { env, folder, file } = home()
    const config = (settings: object) => {
      const path = join(folder, 'longshore.yaml')
      writeFileSync(path, JSON.stringify({ registries: { [trusted.host]: settings } }))
      return path
    }
    const tags = (path: string) => longshore(['tags', `${trusted.host}/acme/nothing`, '-c', path, '--json'], { env })
    // Not found is what only those hear who may ask.
    expect((await tags(config({ ca, username: 'ci', password }))).stdout).toContain('not_found')
    expect((await tags(config({ ca, username: 'ci', password: 'wrong-password' }))).stdout).toContain('unauthorized')
    expect((await tags(config({ username: 'ci', password, plain_http: false }))).code).toBe(1)
    const login = ['login', trusted.host, '-u', 'ci', '--password-stdin', '-c', config({ ca })]
    expect((await longshore(login, { env, stdin: password })).code).toBe(0)
    expect(readFileSync(file, 'utf8')).toContain(trusted.host)
    await trusted.stop()
  })

  test('a password cannot be an argument, and none is asked for without a terminal', async () => {
    const { env } = home()
    const argument = await longshore(['login', registry.host, '-u', 'ci', '--password', password], { env })
    expect(argument.code).toBe(2)
    const nowhere = await longshore(['login', registry.host, '-u', 'ci'], { env, stdin: '' })
    expect(nowhere.code).toBe(2)
    expect(nowhere.stderr).toContain('--password-stdin')
    expect((await longshore(['login', registry.host, '--password-stdin'], { env, stdin: password })).code).toBe(2)
  })

  test('is typed on a terminal without being shown', async () => {
    const { env, file } = home()
    // script(1) gives the command a terminal of its own and hands on what is typed.
    const command = `${process.execPath} bin/longshore.js login ${registry.host}`
    const typing = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, ...env },
    })
    let shown = ''
    typing.stdout.on('data', (chunk) => (shown += chunk))
    await waitFor('the question for a name', () => shown.includes(`User name at ${registry.host}: `))
    typing.stdin.write('ci\r')
    await waitFor('the question for the password', () => shown.includes(`Password for ci at ${registry.host}: `))
    typing.stdin.write(`${password}\r`)
    const [code] = (await once(typing, 'close')) as [number]
    expect(code, shown).toBe(0)
    expect(shown).toContain('logged in')
    expect(shown).not.toContain(password)
    expect(readFileSync(file, 'utf8')).toContain(Buffer.from(`ci:${password}`).toString('base64'))
  })
})
