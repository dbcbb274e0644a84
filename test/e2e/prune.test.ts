// What a bundle left at a place that said prune: true is gone, and what others have there is not; also when nothing ran meanwhile.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

let server: Longshore | undefined

afterEach(() => server?.stop())

async function push(bundle: string): Promise<void> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, bundle))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: bundle, roots: [bundle] }))
  writeFileSync(join(folder, `${bundle}/policy.rego`), `package ${bundle}\n\nallow := true\n`)
  const pushed = await longshore(['push', folder, `${server!.host}/policies/${bundle}:latest`])
  expect(pushed.code, pushed.stderr).toBe(0)
}

test('what left is pruned by a reload, and by a start', async () => {
  const [folder, root] = [tempDir('longshore'), join(tempDir('place'), 'bundles')]
  const configOf = (...bundles: string[]) => ({
    bundles: Object.fromEntries(
      bundles.map((name) => [
        name,
        { store: { type: 'local', repository: `policies/${name}` }, deploy: [{ to: 'host', form: 'tarball' }] },
      ]),
    ),
    deployers: { host: { type: 'directory', root, prune: true } },
  })
  const start = (...bundles: string[]) => startLongshore({ folder, config: configOf(...bundles) })
  const files = () => (existsSync(root) ? readdirSync(root).filter((name) => name !== '.longshore') : [])
  server = await start('a', 'b', 'c')
  for (const name of ['a', 'b', 'c']) await push(name)
  await waitFor('all of them', () => files().length === 3)

  server.writeConfig(configOf('b', 'c'))
  expect((await server.reload()).status).toBe(200)
  await waitFor('a to be gone', () => !files().includes('a.tar.gz'))
  await waitFor('nothing to be left that is known', async () => {
    const { stdout } = await longshore(['status', '--json', '--server', server!.url])
    return (JSON.parse(stdout) as { left: unknown[] }).left.length === 0
  })

  await server.stop()
  server = await start('c')
  await waitFor('b to be gone', () => files().join() === 'c.tar.gz')
  // It comes back with its history, and goes there again.
  server.writeConfig(configOf('a', 'c'))
  expect((await server.reload()).status).toBe(200)
  await waitFor('a again', () => files().includes('a.tar.gz'))
})

test('what moved to another path leaves nothing where it was, over a reload and a start', async () => {
  const [folder, root] = [tempDir('longshore'), join(tempDir('place'), 'bundles')]
  const store = { type: 'local', repository: 'policies/a' }
  const configOf = (path: string) => ({
    bundles: { a: { store, deploy: [{ to: 'host', path, form: 'tarball' }] } },
    deployers: { host: { type: 'directory', root, prune: true } },
  })
  const isOnlyAt = (path: string) =>
    waitFor(`it to be at ${path} alone`, () => {
      const found = ['one', 'two', 'three'].filter((name) => existsSync(join(root, name, 'a.tar.gz')))
      return found.join() === path && !existsSync(join(root, path === 'one' ? 'two' : 'one', '.longshore'))
    })
  server = await startLongshore({ folder, config: configOf('one') })
  await push('a')
  await isOnlyAt('one')
  server.writeConfig(configOf('two'))
  expect((await server.reload()).status).toBe(200)
  await isOnlyAt('two')
  await server.stop()
  server = await startLongshore({ folder, config: configOf('three') })
  await isOnlyAt('three')
})
