import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDeployer } from '../../../src/deployers/command/index.ts'
import { commandDeployerSchema } from '../../../src/deployers/command/schema.ts'
import type { Deployer } from '../../../src/deployers/deployer.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { FinalError } from '../../../src/lib/errors.ts'
import { silentLogger, type Logger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { deployOf } from '../../conformance/deployer.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'

const signal = new AbortController().signal

function open(script: string, more: Record<string, unknown> = {}, logger: Logger = silentLogger) {
  const folder = tempDir('command')
  const config = commandDeployerSchema.parse({
    type: 'command',
    command: ['sh', '-c', script, 'name', '$(id); *'],
    cwd: folder,
    ...more,
  })
  const registries = {
    repository: () => {
      throw new Error('not for this plugin')
    },
  }
  const redactor = new Redactor()
  for (const value of Object.values(config.env)) if (value instanceof Secret) value.introduce(redactor)
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  return { folder, read, deployer: createDeployer(config, { registries, logger, redactor, clock: systemClock }) }
}

describe('deployer command', () => {
  it('tells the program what to deploy, and nothing of our own environment', async () => {
    const { deployer, read } = open('env > told; printf %s "$1" > arguments', { env: { LEVEL: 'debug' } })
    const what = await deployOf('one')
    await deployer.deploy({ ...what, isForced: true }, signal)
    expect(read('arguments')).toBe('$(id); *')
    const told = Object.fromEntries(
      read('told')
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
    // What a shell adds by itself.
    for (const name of ['PWD', 'OLDPWD', 'SHLVL', '_', 'PATH']) delete told[name]
    expect(told).toEqual({
      LEVEL: 'debug',
      LONGSHORE_BUNDLE: 'authz',
      LONGSHORE_PLACE: 'prod',
      LONGSHORE_RELEASE: '1',
      LONGSHORE_REPOSITORY: 'elsewhere/policies',
      LONGSHORE_VERSION: 'v1.0.0',
      LONGSHORE_DIGEST: what.release.manifestDigest,
      LONGSHORE_SOURCE_DIGEST: what.release.sourceDigest,
      LONGSHORE_BUNDLE_DIGEST: what.release.bundleDigest,
      LONGSHORE_KEY: what.idempotencyKey,
      LONGSHORE_FORCED: 'true',
    })
  })

  it('gives it the bundle as a file of its own, which is gone afterwards, also when it failed', async () => {
    const script =
      'stat -c %a "$LONGSHORE_FILE" > mode; cat "$LONGSHORE_FILE" > got; echo "$LONGSHORE_FILE" > path; exit 3'
    const { deployer, read } = open(script, { file: true })
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toMatchObject({ code: 'command_failed' })
    expect(read('got')).toBe('one')
    expect(read('mode').trim()).toBe('600')
    expect(existsSync(dirname(read('path').trim()))).toBe(false)
  })

  it('fails with the end of what the program said, without its secrets', async () => {
    const file = join(tempDir('secret'), 'key')
    writeFileSync(file, 'from-a-file\n')
    const env = { TOKEN: { secret: 'hunter2hunter2' }, KEY: { file } }
    const { deployer } = open('seq 1 20000; echo "bad token $TOKEN, key $KEY" >&2; exit 7', { env })
    const error = (await deployer.deploy(await deployOf('one'), signal).catch((error: unknown) => error)) as Error
    expect(error.message).toMatch(/^sh ended with 7: /)
    expect(error.message).toContain('bad token ***, key ***')
    expect(error.message).not.toMatch(/hunter2|from-a-file/)
    expect(error.message.length).toBeLessThan(2100)
  })

  it('says that running it again would not help where the program says so', async () => {
    const { deployer } = open('echo no such zone; exit 64', { give_up: [64, 65] })
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toEqual(
      new FinalError('sh ended with 64: no such zone'),
    )
  })

  it('never shows a value that no program can be given', async () => {
    const { deployer } = open('true', { env: { TOKEN: { secret: 'hunter2\0hunter2' } } })
    const error = (await deployer.deploy(await deployOf('one'), signal).catch((error: unknown) => error)) as Error
    expect(error).toMatchObject({ code: 'command_failed', message: expect.stringContaining('holds a NUL') as string })
    expect(String(error.cause) + error.message).not.toContain('hunter2')
  })

  it('logs what the program said when it ended well', async () => {
    const lines: unknown[] = []
    const logger = { ...silentLogger, info: (fields: unknown) => lines.push(fields) } as unknown as Logger
    const { deployer } = open('echo copied 3 files', {}, logger)
    const said: string[] = []
    await deployer.deploy({ ...(await deployOf('one')), say: (text) => said.push(text) }, signal)
    expect(lines).toEqual([{ bundle: 'authz', release: 1, output: 'copied 3 files' }])
    expect(said).toEqual(['sh ended well\ncopied 3 files'])
  })

  it.each([
    [
      'nosuch-program',
      {},
      /^nosuch-program cannot be run: there is no such program in \/usr\/local\/sbin:.*: write its whole path$/,
    ],
    [
      'nosuch-program',
      { env: { PATH: '/opt/bin' } },
      /: there is no such program in \/opt\/bin: write its whole path$/,
    ],
    [
      '/nowhere/x',
      {},
      /^\/nowhere\/x cannot be run: there is no such file, or not the interpreter that its first line names$/,
    ],
    ['/etc/passwd', {}, /^\/etc\/passwd cannot be run: it may not be run: /],
    ['true', { cwd: '/nowhere' }, /^true cannot be run: there is no folder \/nowhere to run it in$/],
  ])('says why %s cannot be run: %j', async (program, more, message) => {
    const { deployer } = open('', { command: [program], ...more })
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toMatchObject({
      code: 'command_failed',
      message: expect.stringMatching(message) as string,
    })
  })

  it('fails when the program takes too long', async () => {
    const { deployer } = open('exec sleep 600', { timeout: '100ms' })
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toMatchObject({
      code: 'command_failed',
      message: 'sh took longer than 100ms',
    })
  })

  it('asks the program to end when it is told to stop', async () => {
    const { deployer, read, folder } = open(
      "trap 'echo asked > asked; exit 0' TERM; : > ready; while :; do sleep 0.05; done",
    )
    await stopWhen(join(folder, 'ready'), deployer)
    expect(read('asked')).toBe('asked\n')
  })

  it('ends one that does not listen, with what it has started', async () => {
    const { deployer, read, folder } = open(
      "trap '' TERM; (while :; do sleep 0.05; done) & echo $! > child; : > ready; wait",
    )
    await stopWhen(join(folder, 'ready'), deployer)
    const child = Number(read('child'))
    await waitFor('the child to be gone', () => !isAlive(child))
  })

  it('cannot be asked what is there', async () => {
    expect(await open('true').deployer.observe(await deployOf('one'), signal)).toBeUndefined()
  })
})

describe('config of the deployer command', () => {
  it.each([
    ['a relative program', { command: ['bin/x'] }, 'expected an absolute path of a program, or its bare name'],
    ['no program', { command: [] }, 'expected a program and its arguments'],
    ['a line for a shell', { command: 'reload --all' }, 'expected array'],
    ['a variable of ours', { env: { LONGSHORE_KEY: 'x' } }, 'LONGSHORE_… are set by longshore'],
    ['a variable that is none', { env: { 'A=B': 'x' } }, 'expected the name of a variable'],
    ['a number', { env: { PORT: 80 } }, 'expected text, { secret: text } or { file: path }'],
  ])('refuses %s', (_what, more, message) => {
    const said = commandDeployerSchema.safeParse({ type: 'command', command: ['true'], ...more })
    expect(said.error?.message).toContain(message)
  })
})

async function stopWhen(file: string, deployer: Deployer): Promise<void> {
  const controller = new AbortController()
  const deploying = deployer.deploy(await deployOf('one'), controller.signal)
  const refused = expect(deploying).rejects.toThrow('enough')
  await waitFor('the program to run', () => existsSync(file))
  controller.abort(new Error('enough'))
  await refused
}

/** A zombie is not: nobody may be there to bury it. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
