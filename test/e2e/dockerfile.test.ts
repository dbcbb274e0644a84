import { chmodSync, chownSync, copyFileSync, cpSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { needs } from '../support/components.ts'
import { execForm, readDockerfile, stepsOf, type Step } from '../support/dockerfile.ts'
import { execOk } from '../support/exec.ts'
import { freePort } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'

const repository = resolve(import.meta.dirname, '../..')
const nobody = 65534

/** No base image can be had where the tests run: what the Dockerfile says is done step by step in a folder of its own. */
needs()('the Dockerfile', () => {
  const [build = [], image = []] = readDockerfile(join(repository, 'Dockerfile'))
  const root = tempDir('image')
  const app = join(root, 'app')
  const node = join(root, 'node')

  beforeAll(async () => {
    chmodSync(root, 0o755)
    copyFileSync(process.execPath, node)
    for (const step of build) await follow(step)
  })

  it('makes something small that runs as somebody else than root, and is healthy', async () => {
    expect(stepsOf(image, 'USER')).toEqual(['node'])
    const data = join(root, 'data')
    mkdirSync(data, { mode: 0o700 })
    chownSync(data, nobody, nobody)
    const port = await freePort()
    const [, program = '', ...entry] = execForm(stepsOf(image, 'ENTRYPOINT')[0]!)
    const command = execForm(stepsOf(image, 'CMD')[0]!).map((word) =>
      word.replace(/^0\.0\.0\.0:\d+$/, `127.0.0.1:${port}`),
    )
    const server = await startProcess({
      command: '/usr/bin/setpriv',
      args: [
        `--reuid=${nobody}`,
        `--regid=${nobody}`,
        '--clear-groups',
        node,
        join(root, program),
        ...entry,
        ...command,
      ],
      name: 'longshore as nobody',
      cwd: data,
      env: { HOME: data, XDG_RUNTIME_DIR: undefined },
      ready: async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok,
    })
    const [, ...check] = execForm(stepsOf(image, 'HEALTHCHECK')[0]!).map((word) => word.replace(':8085', `:${port}`))
    await execOk(node, check)
    expect(statSync(join(data, 'data')).uid).toBe(nobody)
    await server.stop()
  })

  it('leaves out what only developers need', async () => {
    const { stdout } = await execOk('du', ['-sm', app])
    expect(Number.parseInt(stdout, 10)).toBeLessThan(60)
  })

  async function follow({ keyword, text }: Step): Promise<void> {
    if (keyword === 'WORKDIR') mkdirSync(join(root, text), { recursive: true })
    if (keyword === 'COPY') copy(text.split(/\s+/))
    if (keyword === 'RUN') await execOk('sh', ['-c', text], { cwd: app, timeoutMs: 100_000 })
  }

  function copy(words: string[]): void {
    const target = words.at(-1)!
    for (const from of words.slice(0, -1)) {
      const to = target.endsWith('/') ? join(app, target, from) : join(app, target)
      mkdirSync(dirname(to), { recursive: true })
      cpSync(join(repository, from), to, { recursive: true })
    }
  }
})
