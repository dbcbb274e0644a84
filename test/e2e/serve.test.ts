// What `npm start` does in an empty folder, and what it says when it cannot start.
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { component, needs } from '../support/components.ts'
import { exec, execOk, type ExecResult } from '../support/exec.ts'
import { isAnswering } from '../support/http.ts'
import { longshore, programPath } from '../support/longshore.ts'
import { policyFiles, writeFiles } from '../support/policy.ts'
import { freePort } from '../support/ports.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
const env = { LONGSHORE_CONFIG: undefined, LONGSHORE_SERVER: undefined, LONGSHORE_TOKEN: undefined }

/** As `npm start` runs it, with nothing configured; only the port is another one, so that tests can run side by side. */
async function start(folder: string, port: number): Promise<RunningProcess> {
  const started = await startProcess({
    command: process.execPath,
    args: [programPath, 'serve', '--listen', `127.0.0.1:${port}`],
    name: `longshore in ${folder}`,
    cwd: folder,
    env,
    ready: async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok,
  })
  await waitFor('its last word', () => started.output().includes('Ctrl-C stops it'))
  return started
}

/** One that is expected to end by itself. */
function startInVain(folder: string, port: number, ...args: string[]): Promise<ExecResult> {
  const listen = ['--listen', `127.0.0.1:${port}`]
  return exec(process.execPath, [programPath, 'serve', ...listen, ...args], { cwd: folder, env })
}

async function releaseOf(port: number): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/bundles/example`)
  const { current } = (await response.json()) as { current: { number: number; revision: string } }
  return current
}

describe('with nothing configured', () => {
  test('an example is served, from an empty folder', async () => {
    const [folder, port] = [tempDir('empty'), await freePort()]
    const server = await start(folder, port)
    const bundle = await fetch(`http://127.0.0.1:${port}/bundles/example`)
    expect(bundle.status).toBe(200)
    expect(bundle.headers.get('etag')).toMatch(/^"sha256:[0-9a-f]{64}"$/)
    const tags = await fetch(`http://127.0.0.1:${port}/v2/policies/example/tags/list`)
    expect(await tags.json()).toEqual({ name: 'policies/example', tags: ['1.0.0', 'latest'] })
    expect(statSync(join(folder, 'data', 'token')).mode & 0o777).toBe(0o600)
    for (const place of [`http://127.0.0.1:${port}/bundles/example`, join(folder, 'data'), 'Ctrl-C']) {
      expect(server.output()).toContain(place)
    }
    await server.stop({ signal: 'SIGINT' })
    expect(await server.exited).toEqual({ code: 0, signal: null })
  })

  test('npm, told to end, ends what it started', async () => {
    const port = await freePort()
    const listen = `127.0.0.1:${port}`
    const config = { content: { path: './data' }, server: { listen } }
    const folder = writeFiles({ 'longshore.json': JSON.stringify(config) })
    const npm = await startProcess({
      ...{ command: 'npm', args: ['start', '--', '--config', join(folder, 'longshore.json')], cwd: root, env },
      ready: async () => (await fetch(`http://${listen}/health/ready`)).ok,
    })
    await npm.stop({ timeoutMs: 30_000 })
    await waitFor('nobody to listen', async () => !(await isAnswering(port)))
  })

  test('started again, it goes on from what it has', async () => {
    const [folder, port] = [tempDir('again'), await freePort()]
    const first = await start(folder, port)
    const changed = writeFiles(policyFiles('mine', 'example'))
    const pushed = await longshore(['push', changed, `127.0.0.1:${port}/policies/example:latest`], { env })
    expect(pushed.code, pushed.stderr).toBe(0)
    await waitFor('the second release', async () => ((await releaseOf(port)) as { number: number }).number === 2)
    const before = await releaseOf(port)
    const token = statSync(join(folder, 'data', 'token')).mtimeMs
    await first.stop()
    const second = await start(folder, port)
    expect(await releaseOf(port)).toEqual(before)
    expect(before).toMatchObject({ revision: 'mine' })
    expect(statSync(join(folder, 'data', 'token')).mtimeMs).toBe(token)
    await second.stop()
  })
})

needs('opa-1.22.0')('the commands that it shows to copy', () => {
  test('do what they say, one after the other', async () => {
    const [folder, port, opaPort] = [tempDir('copied'), await freePort(), await freePort()]
    const server = await start(folder, port)
    const commands = server
      .output()
      .match(/^ {4}\S.*$/gm)!
      .map((line) => line.trim())
    expect(commands).toHaveLength(4)
    // OPA's own port is the only thing that has to differ here, and where the programs are.
    const [runOpa, ask, push, status] = commands.map((command) =>
      command
        .replaceAll('127.0.0.1:8181', `127.0.0.1:${opaPort}`)
        .replace(/^npx longshore /, `${process.execPath} ${programPath} `)
        .replace(/^opa /, `exec ${component('opa-1.22.0')} `),
    )
    const opa = await startProcess({
      command: '/bin/sh',
      args: ['-c', `${runOpa!} --skip-version-check`],
      name: 'the OPA that was shown',
      cwd: root,
      ready: async () => (await fetch(`http://127.0.0.1:${opaPort}/health?bundles`)).ok,
    })
    const shell = async (command: string) => (await execOk('/bin/sh', ['-c', command], { cwd: root, env })).stdout
    expect(JSON.parse(await shell(ask!))).toMatchObject({ result: false })
    await shell(push!)
    await waitFor('the changed policy', async () => (JSON.parse(await shell(ask!)) as { result: boolean }).result)
    expect(await shell(status!)).toMatch(/^example .*ok/m)
    await opa.stop()
    await server.stop()
  })
})

needs('opa-1.22.0')('examples/opa-oci.yaml', () => {
  test('has OPA pull the example as from any registry', async () => {
    const [port, opaPort] = [await freePort(), await freePort()]
    const server = await start(tempDir('oci-example'), port)
    const host = `127.0.0.1:${port}`
    const set = [`services.longshore.url=http://${host}`, `bundles.example.resource=${host}/bundles/example:latest`]
    const opa = await startProcess({
      command: component('opa-1.22.0'),
      args: [
        ...['run', '--server', '--addr', `127.0.0.1:${opaPort}`, '--skip-version-check'],
        ...['--config-file', join(root, 'examples/opa-oci.yaml'), ...set.flatMap((value) => ['--set', value])],
      ],
      ready: async () => (await fetch(`http://127.0.0.1:${opaPort}/health?bundles`)).ok,
      cwd: tempDir('opa'),
    })
    const asked = await fetch(`http://127.0.0.1:${opaPort}/v1/data/example/allow`, {
      method: 'POST',
      body: '{"input":{"user":"alice","action":"write"}}',
    })
    expect(await asked.json()).toMatchObject({ result: true })
    await opa.stop()
    await server.stop()
  })
})

describe('it does not start, and says why', () => {
  test('in a folder that another one works in: whose it is, with 1', async () => {
    const [folder, port] = [tempDir('shared'), await freePort()]
    const first = await start(folder, port)
    const second = await startInVain(folder, await freePort())
    expect(second.code).toBe(1)
    expect(second.stdout).toBe('')
    expect(second.stderr).toContain(join(folder, 'data'))
    expect(second.stderr).toContain('in use by another longshore')
    expect(second.stderr).not.toContain(' at ')
    expect((await fetch(`http://127.0.0.1:${port}/bundles/example`)).status).toBe(200)
    await first.stop()
  })

  test('where the port is taken: which one, with 2', async () => {
    const [folder, port] = [tempDir('first'), await freePort()]
    const first = await start(folder, port)
    const second = await startInVain(tempDir('second'), port)
    expect(second.code).toBe(2)
    expect(second.stderr).toContain(`cannot listen on 127.0.0.1:${port}: the port is taken`)
    expect(second.stderr).not.toMatch(/^\s+at /m)
    await first.stop()
  })

  test('with a bad config: every problem at its line, with 2, and nothing is made', async () => {
    const folder = writeFiles({
      'longshore.yaml': 'server:\n  lisen: 127.0.0.1:1\nbundles:\n  authz:\n    store: nobody\n',
    })
    const refused = await startInVain(folder, await freePort())
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('longshore.yaml:2: ')
    expect(refused.stderr).toContain('longshore.yaml:5: ')
    expect(existsSync(join(folder, 'data'))).toBe(false)
  })

  test.each([
    ['a secret', { registries: { 'registry.corp': { username: 'ci', password: { file: 'nowhere' } } } }],
    ['a certificate', { registries: { 'registry.corp': { ca: 'nowhere' } } }],
    ['a TLS key', { server: { tls: { cert: 'nowhere', key: 'nowhere' } } }],
  ])('where %s cannot be read: its path, with 2', async (_what, config) => {
    const folder = writeFiles({ 'longshore.yaml': JSON.stringify(config) })
    const refused = await startInVain(folder, await freePort())
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain(join(folder, 'nowhere'))
  })
})
