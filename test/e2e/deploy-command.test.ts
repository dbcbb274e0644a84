// A program that puts releases somewhere: tried again with the same key, over kill -9, until it has done it once.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

let server: Longshore | undefined

afterEach(() => server?.stop())

/** Writes down each call; fails twice, then waits for `go`, and takes the file. */
const script = `
  echo "$LONGSHORE_RELEASE $LONGSHORE_FORCED $LONGSHORE_KEY" >> calls
  [ "$(wc -l < calls)" -le 2 ] && { echo "refused with $TOKEN" >&2; exit 1; }
  while [ ! -e go ]; do sleep 0.05; done
  cp "$LONGSHORE_FILE" "held-$LONGSHORE_RELEASE"
`

test('a command is tried again with one key, also after a kill, and once more with another when it is asked for', async () => {
  const [folder, place] = [tempDir('longshore'), tempDir('place')]
  const calls = () => lines(join(place, 'calls'))
  const start = () =>
    startLongshore({
      folder,
      config: {
        bundles: { authz: { store: { type: 'local', repository: 'policies/authz' }, deploy: [{ to: 'any' }] } },
        deployers: {
          any: {
            type: 'command',
            command: ['sh', '-c', script],
            env: { TOKEN: { secret: 'hunter2hunter2' } },
            cwd: place,
            file: true,
          },
        },
      },
    })
  server = await start()
  await push(server)
  const lastError = await waitFor('the first failure', async () => (await placeOf(server!)).lastError ?? false)
  expect(lastError).toContain('sh ended with 1: refused with ***')

  await waitFor('a third call', () => calls().length === 3)
  await server.process.kill()
  expect(server.process.output()).not.toContain('hunter2')
  server = await start()
  await waitFor('a fourth call', () => calls().length === 4)
  writeFileSync(join(place, 'go'), '')
  await waitFor('the release at its place', async () => (await placeOf(server!)).state === 'done')
  expect(existsSync(join(place, 'held-1'))).toBe(true)
  expect(new Set(calls()).size).toBe(1)
  expect(calls()[0]).toMatch(/^1 false authz\/any\/1\/sha256:/)

  const asked = await longshore(['deploy', 'authz', '--server', server.url])
  expect(asked.code, asked.stderr).toBe(0)
  await waitFor('a fifth call', () => calls().length === 5)
  expect(calls()[4]).toMatch(/^1 true /)
  expect(calls()[4]!.split(' ')[2]).not.toBe(calls()[0]!.split(' ')[2])
})

async function placeOf(server: Longshore) {
  return (await server.bundle('authz')).deployments[0]!
}

async function push(server: Longshore): Promise<void> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'authz'))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: 'one', roots: ['authz'] }))
  writeFileSync(join(folder, 'authz/policy.rego'), 'package authz\n\nallow := true\n')
  const pushed = await longshore(['push', folder, `${server.host}/policies/authz:latest`])
  expect(pushed.code, pushed.stderr).toBe(0)
}

function lines(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}
