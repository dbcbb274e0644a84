import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDeployer } from '../../../src/deployers/directory/index.ts'
import { directoryDeployerSchema } from '../../../src/deployers/directory/schema.ts'
import type { Deploy, DeployTo } from '../../../src/deployers/deployer.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import type { Release } from '../../../src/model/release.ts'
import type { Descriptor } from '../../../src/oci/target.ts'
import { deployOf } from '../../conformance/deployer.ts'
import { imageOf, MemoryRepository } from '../../support/repository.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'
import { file, tarGz } from '../artifact/support.ts'
import { listing } from '../artifact/folder/support.ts'

const signal = new AbortController().signal

function open(more: Record<string, unknown> = {}) {
  const root = join(tempDir('place'), 'zones')
  const config = directoryDeployerSchema.parse({ type: 'directory', root, ...more })
  const registries = {
    repository: () => {
      throw new Error('not for this plugin')
    },
  }
  return {
    root,
    deployer: createDeployer(config, {
      registries,
      logger: silentLogger,
      redactor: new Redactor(),
      clock: systemClock,
    }),
  }
}

/** A release of an OPA bundle, served as it came. */
async function bundleOf(files: Record<string, string>, how: Partial<DeployTo> = {}): Promise<Deploy> {
  const bytes = tarGz(...Object.entries(files).map(([name, text]) => file(name, text)))
  return releaseOf({ source: await manyOf([bytes]), bytes, how: { form: 'unpacked', ...how } })
}

/** A release of an artifact with titled layers; what is served of it was packed here. */
async function layersOf(files: Record<string, string>, how: Partial<DeployTo> = {}): Promise<Deploy> {
  const titles = Object.keys(files)
  const source = await manyOf(Object.values(files), titles)
  return releaseOf({ source, bytes: tarGz(file('packed', 'packed')), how: { form: 'layers', ...how } })
}

async function manyOf(contents: (string | Buffer)[], titles: string[] = []) {
  const source = new MemoryRepository('bundles/authz')
  const plain = await imageOf(source, contents)
  const manifest = JSON.parse(Buffer.from(plain.bytes).toString()) as { layers: Descriptor[] }
  const layers = manifest.layers.map((layer, at) =>
    titles[at] === undefined ? layer : { ...layer, annotations: { 'org.opencontainers.image.title': titles[at] } },
  )
  return { source, raw: await imageOf(source, [], { layers }) }
}

async function releaseOf({
  source: { source, raw },
  bytes,
  how,
  ...more
}: {
  source: { source: MemoryRepository; raw: { digest: Release['sourceDigest'] } }
  bytes: Buffer
  how: Partial<DeployTo>
} & Partial<Release>): Promise<Deploy> {
  const served = await imageOf(source, [bytes])
  const [layer] = (JSON.parse(Buffer.from(served.bytes).toString()) as { layers: [Descriptor] }).layers
  const base = await deployOf('unused')
  const release = {
    ...base.release,
    bundleDigest: layer.digest,
    manifestDigest: served.digest,
    sourceDigest: raw.digest,
  }
  return { ...base, source, release: { ...release, ...more }, ...how }
}

describe('deployer directory', () => {
  it('writes each layer of what the store offered, under the path of the bundle', async () => {
    const { deployer, root } = open()
    const what = await layersOf({ 'db.example.org': 'a', 'x/db.corp': 'b' }, { path: 'internal' })
    expect(await deployer.observe(what, signal)).toEqual({ digest: null, settled: false })
    await deployer.deploy(what, signal)
    expect(listing(root)).toEqual({ 'internal/db.example.org': 'a', 'internal/x/db.corp': 'b' })
    expect(await deployer.observe(what, signal)).toEqual({ digest: what.release.sourceDigest, settled: true })
  })

  it('writes where an absolute path says', async () => {
    const { deployer, root } = open()
    const path = join(tempDir('elsewhere'), 'zones')
    await deployer.deploy(await layersOf({ 'db.a': 'a' }, { path }), signal)
    expect(listing(path)).toEqual({ 'db.a': 'a' })
    expect(existsSync(root)).toBe(false)
  })

  it('refuses a layer without a title, and says what to do', async () => {
    const { deployer, root } = open()
    const what = await bundleOf({ 'data.json': '{}' }, { form: 'layers' })
    await expect(deployer.deploy(what, signal)).rejects.toMatchObject({
      code: 'unsupported_artifact',
      hint: expect.stringContaining('form: unpacked'),
    })
    expect(existsSync(root)).toBe(false)
  })

  it('writes the files of a bundle, also where OPA wrote them with a slash in front', async () => {
    const { deployer, root } = open()
    const what = await bundleOf({ '/data.json': '{}', '/authz/policy.rego': 'package authz' })
    await deployer.deploy(what, signal)
    expect(listing(root)).toEqual({ 'authz/policy.rego': 'package authz', 'data.json': '{}' })
    expect(await deployer.observe(what, signal)).toEqual({ digest: what.release.manifestDigest, settled: true })
  })

  it('writes a bundle as one file, the one that is served', async () => {
    const { deployer, root } = open()
    const what = await bundleOf({ 'data.json': '{}' }, { form: 'tarball' })
    const named = { ...what, release: { ...what.release, bundle: 'team/authz' } }
    await deployer.deploy(named, signal)
    expect(readFileSync(join(root, 'team/authz.tar.gz'))).toEqual(tarGz(file('data.json', '{}')))
  })

  it('holds an archive to the limits of its bundle', async () => {
    const { deployer } = open()
    const what = await bundleOf({ a: 'a', b: 'b' })
    const tight = { ...what, limits: { ...what.limits, maxEntries: 1 } }
    await expect(deployer.deploy(tight, signal)).rejects.toMatchObject({ code: 'bad_archive' })
  })

  it('says that nothing is kept of a bundle that is not pulled', async () => {
    const { deployer } = open()
    const what = await bundleOf({ a: 'a' })
    const watched = { ...what, release: { ...what.release, bundleDigest: null } }
    await expect(deployer.deploy(watched, signal)).rejects.toMatchObject({
      hint: expect.stringContaining('pull: true'),
    })
  })

  it('is not settled where the same release is there in another form', async () => {
    const { deployer } = open()
    const what = await bundleOf({ 'data.json': '{}' })
    await deployer.deploy(what, signal)
    expect(await deployer.observe({ ...what, form: 'tarball' }, signal)).toMatchObject({ settled: false })
  })

  it('keeps bundles in one folder apart', async () => {
    const { deployer, root } = open()
    const [one, two] = [await layersOf({ 'db.a': 'a' }), await layersOf({ 'db.b': 'b' })]
    const other = { ...two, release: { ...two.release, bundle: 'other' } }
    await deployer.deploy(one, signal)
    await deployer.deploy(other, signal)
    expect(listing(root)).toEqual({ 'db.a': 'a', 'db.b': 'b' })
    const clash = await layersOf({ 'db.a': 'c' })
    await expect(
      deployer.deploy({ ...clash, release: { ...clash.release, bundle: 'other' } }, signal),
    ).rejects.toMatchObject({ code: 'overlap', message: expect.stringMatching(/^other and authz both have/) })
  })

  it('sets modes', async () => {
    const { deployer, root } = open({ file_mode: '0600', folder_mode: '0700' })
    await deployer.deploy(await layersOf({ 'x/db.a': 'a' }), signal)
    expect(statSync(join(root, 'x/db.a')).mode & 0o777).toBe(0o600)
    expect(statSync(join(root, 'x')).mode & 0o777).toBe(0o700)
  })
})

describe('after a change', () => {
  it('runs a command, without a shell and without our environment, and only then', async () => {
    const out = join(tempDir('told'), 'out')
    const script = 'echo "$1|$LONGSHORE_BUNDLE|$LONGSHORE_VERSION|$LONGSHORE_FOLDER|$PWD|$HOME" >> "$0"'
    const { deployer, root } = open({ command: ['sh', '-c', script, out, '$(id); x'] })
    const what = await layersOf({ 'db.a': 'a' })
    await deployer.deploy(what, signal)
    await deployer.deploy(what, signal)
    expect(readFileSync(out, 'utf8')).toBe(`$(id); x|authz|v1.0.0|${root}|${root}|\n`)
  })

  it('is not settled before it succeeded; the error holds what the command said', async () => {
    const flag = join(tempDir('told'), 'ready')
    const { deployer } = open({ command: ['sh', '-c', `test -e ${flag} || { echo not yet >&2; exit 7; }`] })
    const what = await layersOf({ 'db.a': 'a' })
    await expect(deployer.deploy(what, signal)).rejects.toMatchObject({
      code: 'command_failed',
      message: 'sh ended with 7: not yet',
    })
    expect(await deployer.observe(what, signal)).toMatchObject({ settled: false })
    writeFileSync(flag, '')
    await deployer.deploy(what, signal)
    expect(await deployer.observe(what, signal)).toMatchObject({ settled: true })
  })

  it('ends a command that takes too long, with what it has started', async () => {
    const pids = join(tempDir('told'), 'pids')
    const script = `sleep 600 & echo $$ $! > ${pids}; wait`
    const { deployer } = open({ command: ['sh', '-c', script], command_timeout: '300ms' })
    await expect(deployer.deploy(await layersOf({ 'db.a': 'a' }), signal)).rejects.toMatchObject({
      code: 'command_failed',
      message: expect.stringMatching(/^sh took longer than 300ms/),
    })
    // It may have been ended before it wrote them.
    const started = existsSync(pids) ? (readFileSync(pids, 'utf8').match(/\d+/g) ?? []).map(Number) : []
    await waitFor('both to be gone', () => started.every((pid) => !isRunning(pid)))
  })

  it('does not wait for what a command leaves running', async () => {
    const { deployer } = open({ command: ['sh', '-c', 'sleep 5 & exit 0'] })
    await deployer.deploy(await layersOf({ 'db.a': 'a' }), signal)
  })

  it('ends a command when it is told to stop', async () => {
    const { deployer } = open({ command: ['sleep', '600'] })
    const stop = new AbortController()
    const deployed = deployer.deploy(await layersOf({ 'db.a': 'a' }), stop.signal)
    stop.abort(new Error('enough'))
    await expect(deployed).rejects.toThrow('enough')
  })

  it('says that a program is not there', async () => {
    const { deployer } = open({ command: ['/nowhere/rndc'] })
    await expect(deployer.deploy(await layersOf({ 'db.a': 'a' }), signal)).rejects.toMatchObject({
      message: expect.stringMatching(/^\/nowhere\/rndc cannot be run: there is no such file, or /),
    })
  })

  it('sends a signal to the process of a pid file', async () => {
    const folder = tempDir('told')
    const pidFile = join(folder, 'pid')
    writeFileSync(pidFile, `${process.pid}\n`)
    const { deployer } = open({ signal: 'USR2', pid_file: pidFile })
    const { promise, resolve } = Promise.withResolvers<string>()
    process.once('SIGUSR2', resolve)
    await deployer.deploy(await layersOf({ 'db.a': 'a' }), signal)
    expect(await promise).toBe('SIGUSR2')
  })

  it.each([
    ['is not there', undefined, /there is no such file/],
    ['holds no number', 'pid', /it does not hold the number of a process/],
    ['holds 1, who starts everything', '1', /it does not hold the number of a process/],
    ['holds the number of none', '999999999', /there is no process 999999999/],
  ])('says that the pid file %s', async (_what, text, why) => {
    const pidFile = join(tempDir('told'), 'pid')
    if (text !== undefined) writeFileSync(pidFile, text)
    const { deployer } = open({ signal: 'HUP', pid_file: pidFile })
    await expect(deployer.deploy(await layersOf({ 'db.a': 'a' }), signal)).rejects.toMatchObject({
      code: 'signal_failed',
      message: expect.stringMatching(why),
    })
  })
})

describe('a folder that cannot be written', () => {
  it('is said', async () => {
    const { deployer, root } = open()
    mkdirSync(join(root, '..'), { recursive: true })
    writeFileSync(root, 'a file')
    await expect(deployer.deploy(await layersOf({ 'db.a': 'a' }), signal)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/it is a file where a folder must be/),
    })
  })
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('taking away', () => {
  it.each(['files', 'swap'])('with mode: %s, tells whoever reads the folder', async (mode) => {
    const told = join(tempDir('told'), 'told')
    const script = `printf '%s,%s,%s' "$LONGSHORE_BUNDLE" "$LONGSHORE_VERSION" "$LONGSHORE_FOLDER" > ${told}`
    const { deployer, root } = open({ mode, command: ['sh', '-c', script] })
    const what = await layersOf({ 'db.a': 'a' })
    await deployer.deploy(what, signal)
    const { place, form, path, say, check, release } = what
    await deployer.remove!({ bundle: 'authz', place, form, path, releases: [release], say, check }, signal)
    expect(readFileSync(told, 'utf8')).toBe(`authz,,${root}`)
    expect(existsSync(join(root, 'db.a'))).toBe(false)
  })

  it('leaves alone what is there now, where a bundle moved to the same folder under another name', async () => {
    const { deployer, root } = open()
    const what = await layersOf({ 'db.a': 'a' }, { path: 'one' })
    await deployer.deploy(what, signal)
    const link = join(tempDir('links'), 'zones')
    symlinkSync(join(root, 'one'), link)
    const { place, form, say, check, release } = what
    const removal = { bundle: 'authz', place, form, path: 'one', releases: [release], say, check }
    for (const path of ['./one/', join(root, 'one'), link]) {
      await deployer.remove!({ ...removal, movedTo: { path } }, signal)
      expect(listing(join(root, 'one')), path).toEqual({ 'db.a': 'a' })
    }
    await deployer.remove!({ ...removal, movedTo: { path: 'two' } }, signal)
    expect(existsSync(join(root, 'one/db.a'))).toBe(false)
  })
})
