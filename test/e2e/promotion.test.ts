// From staging to production, over one server: by a delay, by somebody's word, over a restart.
import { join } from 'node:path'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

let server: Longshore | undefined

afterEach(() => server?.stop())

async function push(version: string): Promise<void> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'authz'))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: version, roots: ['authz'] }))
  writeFileSync(join(folder, 'authz/policy.rego'), `package authz\n\nversion := "${version}"\n`)
  const pushed = await longshore(['push', folder, `${server!.host}/policies/authz:latest`])
  expect(pushed.code, pushed.stderr).toBe(0)
}

test('a release goes on when somebody agreed, the same to the byte, and what waits is said', async () => {
  const [folder, staging, prod] = [tempDir('longshore'), tempDir('staging'), tempDir('prod')]
  const start = () =>
    startLongshore({
      folder,
      config: {
        bundles: {
          authz: { store: { type: 'local', repository: 'policies/authz' }, deploy: [{ to: 'staging' }] },
          'authz-prod': {
            store: { type: 'bundle', from: 'authz', place: 'staging', delay: '500ms', approval: true },
            deploy: [{ to: 'prod' }],
          },
        },
        deployers: { staging: { type: 'directory', root: staging }, prod: { type: 'directory', root: prod } },
      },
    })
  const ask = (...args: string[]) => longshore([...args, '--server', server!.url])
  const held = (place: string) => readFileSync(join(place, 'authz/policy.rego'), 'utf8')
  server = await start()
  await push('one')
  const needsApproval = (release: number) =>
    waitFor(`an approval of release ${release} to be what is missing`, async () => {
      const waiting = (await server!.bundle('authz-prod')).promotion?.waiting
      return waiting?.release === release && waiting.isThere && waiting.needsApproval && waiting.until === null
    })
  await needsApproval(1)
  expect((await ask('status')).stdout).toContain(
    'release 1 (latest) waits for an approval: longshore approve authz-prod',
  )
  expect((await ask('explain', 'authz-prod')).stdout).toContain('nothing yet from authz at staging; release 1')
  const approved = await ask('approve', 'authz-prod', '--reason', 'tried it')
  expect(approved.code, approved.stderr).toBe(0)
  expect(approved.stdout).toBe('authz-prod: release 1 (latest) is approved, and goes on\n')
  await waitFor('it in production', async () => (await server!.bundle('authz-prod')).deployments[0]!.deployed === 1)
  expect(held(prod)).toBe(held(staging))
  const etags = await Promise.all(
    ['authz', 'authz-prod'].map(async (name) => (await server!.fetch(`/bundles/${name}`)).headers.get('etag')),
  )
  expect(etags[1]).toBe(etags[0])

  await push('two')
  await waitFor('two at staging', () => held(staging).includes('two'))
  await server.stop()
  server = await start()
  expect(held(prod)).toContain('one')
  await needsApproval(2)
  const again = await ask('approve', 'authz-prod')
  expect(again.code, again.stderr).toBe(0)
  await waitFor('two in production', () => held(prod).includes('two'))
  const refused = await ask('approve', 'authz-prod', '1')
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('release 2 of authz was promoted since')
})
