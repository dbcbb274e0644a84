// What somebody sees whose Node is too old, and how a fresh clone gets what it needs: no Node of that age is needed to see it.
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exec, type ExecResult } from '../support/exec.ts'
import { tempDir } from '../support/temp.ts'

const repository = resolve(import.meta.dirname, '../..')

/** A clone with one file of ours in it, nothing installed. */
function clone(file: string): string {
  const root = tempDir('clone')
  write(root, 'package.json', '{"type":"module"}')
  write(root, 'bin/package.json', '{"type":"commonjs"}')
  write(
    root,
    'old.cjs',
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } })`,
  )
  mkdirSync(dirname(join(root, file)), { recursive: true })
  copyFileSync(join(repository, file), join(root, file))
  return root
}

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  if (text.startsWith('#!')) chmodSync(join(root, path), 0o755)
}

function run(root: string, file: string, args: string[], options: { old: boolean }): Promise<ExecResult> {
  const flags = options.old ? ['--require', join(root, 'old.cjs')] : []
  return exec(process.execPath, [...flags, join(root, file), ...args], {
    cwd: root,
    env: { PATH: `${join(root, 'fake')}:/usr/bin:/bin` },
  })
}

describe('bin/longshore.js on a Node that is too old', () => {
  const file = 'bin/longshore.js'

  test('says so, and what to do, with 2', async () => {
    const root = clone(file)
    const { code, stdout, stderr } = await run(root, file, ['serve'], { old: true })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('longshore needs Node 24.15 or newer; this is 18.20.4')
    expect(stderr).toContain('npm ci')
    expect(stderr).not.toContain(' at ')
  })

  test('hands over to the Node that npm brought, with the arguments, and ends as that does', async () => {
    const root = clone(file)
    const node = `node_modules/node-${process.platform}-${process.arch}/bin/node`
    write(root, node, '#!/bin/sh\necho "$@"\nexit 7\n')
    const { code, stdout } = await run(root, file, ['tags', 'a b'], { old: true })
    expect(stdout.trim()).toBe(`${join(root, file)} tags a b`)
    expect(code).toBe(7)
  })

  test('ends what it handed over to where it is killed itself', async () => {
    const root = clone(file)
    const node = `node_modules/node-${process.platform}-${process.arch}/bin/node`
    write(root, node, `#!/bin/sh\nexec ${process.execPath} "$@"\n`)
    const program = `setInterval(() => undefined, 1000)
      process.once('SIGTERM', () => process.exit(console.log('ended, knowing', process.env.LONGSHORE_HANDED_OVER)))
      console.log('begun')`
    write(root, 'src/main.ts', program)
    const child = spawn(process.execPath, ['--require', join(root, 'old.cjs'), join(root, file)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
      said += text
      if (said === 'begun\n') child.kill('SIGKILL')
    }
    expect(said).toBe('begun\nended, knowing undefined\n')
  })
})

describe('what npm start, test and check run first', () => {
  const file = 'scripts/install-if-needed.js'
  const lock = JSON.stringify({ packages: { '': {}, 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } } })

  function cloneWithNpm(npm: string): string {
    const root = clone(file)
    write(root, 'package-lock.json', lock)
    write(root, 'fake/npm', `#!/bin/sh\n${npm}\n`)
    return root
  }

  test('installs what the lockfile says, once', async () => {
    const root = cloneWithNpm(
      'echo "$1" >> asked; mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json',
    )
    expect((await run(root, file, [], { old: false })).code).toBe(0)
    expect((await run(root, file, [], { old: false })).code).toBe(0)
    expect(readFileSync(join(root, 'asked'), 'utf8')).toBe('ci\n')
  })

  test('does so again after an installation that was broken off', async () => {
    const root = cloneWithNpm('echo "$1" >> asked; cp package-lock.json node_modules/.package-lock.json')
    mkdirSync(join(root, 'node_modules/a'), { recursive: true })
    expect((await run(root, file, [], { old: false })).code).toBe(0)
    expect(readFileSync(join(root, 'asked'), 'utf8')).toBe('ci\n')
  })

  test('ends with 1 where npm fails', async () => {
    const root = cloneWithNpm('echo "no network" >&2; exit 9')
    const { code, stderr } = await run(root, file, [], { old: false })
    expect(code).toBe(1)
    expect(stderr).toContain('npm ci failed')
  })

  test('says plainly that Node is too old where npm brings none', async () => {
    const root = cloneWithNpm('mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json')
    const { code, stderr } = await run(root, file, [], { old: true })
    expect(code).toBe(1)
    expect(stderr).toContain('longshore needs Node 24.15 or newer')
    expect(stderr).toContain('18.20.4')
    expect(stderr).not.toContain(' at ')
  })
})
