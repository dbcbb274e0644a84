// Who logs in, with what, and what they may then do.
import { hashSync } from 'bcryptjs'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { component, needs, type ComponentName } from '../support/components.ts'
import { exec, type ExecResult } from '../support/exec.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { policyFiles, writeFiles } from '../support/policy.ts'
import { tempDir } from '../support/temp.ts'

const password = 'correct horse: battery'
const token = 'a-token-of-the-pipeline'
const readToken = 'a-token-that-only-reads'

let server: Longshore

beforeAll(async () => {
  server = await startLongshore({
    config: {
      server: {
        access: {
          users: { alice: { password_hash: hashSync(password, 4), allow: ['admin'] } },
          tokens: {
            ci: { token, allow: ['read', 'push:policies/*'] },
            reader: { token: readToken, allow: ['read'] },
          },
        },
      },
      bundles: { authz: { store: { type: 'local', repository: 'policies/authz' } } },
    },
  })
})

afterAll(() => server?.stop())

/** A user of this machine: no credentials yet. */
function createUser() {
  const home = writeFiles({ 'docker/config.json': '{}' })
  const env = {
    HOME: home,
    DOCKER_CONFIG: join(home, 'docker'),
    REGISTRY_AUTH_FILE: join(home, 'auth.json'),
    XDG_RUNTIME_DIR: home,
    DOCKER_AUTH_CONFIG: undefined,
  }
  const storage = ['--root', join(home, 'root'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs']
  const run = (tool: ComponentName, args: string[], stdin = ''): Promise<ExecResult> =>
    exec(component(tool), args, { env, stdin, cwd: home })
  const loginBy: Record<string, (user: string, secret: string) => Promise<ExecResult>> = {
    podman: (user, secret) =>
      run('podman', [...storage, 'login', '--tls-verify=false', '-u', user, '--password-stdin', server.host], secret),
    buildah: (user, secret) =>
      run('buildah', [...storage, 'login', '--tls-verify=false', '-u', user, '--password-stdin', server.host], secret),
    skopeo: (user, secret) =>
      run('skopeo', ['login', '--tls-verify=false', '-u', user, '--password-stdin', server.host], secret),
    oras: (user, secret) => run('oras', ['login', '--plain-http', '-u', user, '--password-stdin', server.host], secret),
    crane: (user, secret) =>
      run('crane', ['auth', 'login', '--insecure', '-u', user, '--password-stdin', server.host], secret),
    longshore: (user, secret) =>
      longshore(['login', server.host, '-u', user, '--password-stdin'], { env, stdin: secret }),
  }
  return { home, env, run, storage, login: loginBy }
}

needs(
  'podman',
  'buildah',
  'skopeo',
  'oras',
  'crane',
)('logging in', () => {
  describe.each(['podman', 'buildah', 'skopeo', 'oras', 'longshore'])('with %s', (tool) => {
    test.each([
      ['a user and password', 'alice', password],
      ['a token as the password', 'ci', token],
      ['a token under any name', 'whoever', token],
    ])('%s', async (_what, user, secret) => {
      const done = await createUser().login[tool]!(user, secret)
      expect(done.code, done.stderr).toBe(0)
    })

    test('a wrong password is refused', async () => {
      const refused = await createUser().login[tool]!('alice', 'wrong-password')
      expect(refused.code).not.toBe(0)
      expect(refused.stderr + refused.stdout).toMatch(/401|unauthorized|invalid username|does not accept/i)
    })
  })

  test('podman pushes and pulls an image with what it logged in with', async () => {
    const { login, run, storage, home } = createUser()
    expect((await login.podman!('ci', token)).code).toBe(0)
    writeFiles({ Dockerfile: 'FROM scratch\nCOPY policy /\n', 'policy/a.rego': 'package a\n' }, home)
    const image = `${server.host}/policies/image:1`
    const podman = (...args: string[]) => run('podman', [...storage, ...args])
    expect((await run('buildah', [...storage, 'bud', '--isolation', 'chroot', '-t', image, '.'])).code).toBe(0)
    const pushed = await podman('push', '--tls-verify=false', image)
    expect(pushed.code, pushed.stderr).toBe(0)
    await podman('rmi', image)
    const pulled = await podman('pull', '--tls-verify=false', image)
    expect(pulled.code, pulled.stderr).toBe(0)
    // It may push below policies/ alone.
    await podman('tag', image, `${server.host}/elsewhere/image:1`)
    const refused = await podman('push', '--tls-verify=false', `${server.host}/elsewhere/image:1`)
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toMatch(/denied|may not push/i)
  })

  test('oras pushes with what it logged in with, and who only reads may not', async () => {
    const writer = createUser()
    writeFiles({ 'data.json': '{}' }, writer.home)
    const reference = `${server.host}/policies/files:1`
    const push = ['push', '--plain-http', reference, 'data.json']
    expect((await writer.run('oras', push)).stderr).toMatch(/401|unauthorized|basic credential not found/i)
    expect((await writer.login.oras!('ci', token)).code).toBe(0)
    const pushed = await writer.run('oras', push)
    expect(pushed.code, pushed.stderr).toBe(0)

    const reader = createUser()
    writeFiles({ 'data.json': '{}' }, reader.home)
    await reader.login.oras!('reader', readToken)
    expect((await reader.run('oras', ['pull', '--plain-http', reference, '-o', tempDir('out')])).code).toBe(0)
    const refused = await reader.run('oras', push)
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toMatch(/403|denied/i)
  })
})

describe('longshore', () => {
  test('pushes with what it logged in with; who pushed stands in the log, and no secret', async () => {
    const { login, env } = createUser()
    expect((await login.longshore!('ci', token)).code).toBe(0)
    const pushed = await longshore(['push', writeFiles(policyFiles('one')), `${server.host}/policies/authz:1`], { env })
    expect(pushed.code, pushed.stderr).toBe(0)
    await server.logged({ audit: true, who: 'ci', action: 'push', repository: 'policies/authz', reference: '1' })
    for (const secret of [token, readToken, password, 'wrong-password']) {
      expect(server.process.output()).not.toContain(secret)
      expect(server.process.output()).not.toContain(Buffer.from(secret).toString('base64').replace(/=+$/, ''))
    }
  })

  test('the admin token of the data folder does everything', async () => {
    const admin = readFileSync(join(server.folder, 'data', 'token'), 'utf8').trim()
    const reload = (secret: string) =>
      server.fetch('/api/v1/config/reload', { method: 'POST', headers: { authorization: `Bearer ${secret}` } })
    expect((await reload(readToken)).status).toBe(403)
    expect((await reload(admin)).status).toBe(200)
  })
})
