import { createHash } from 'node:crypto'
import { writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'

let server: Longshore
afterAll(() => server.stop())

const random = (bytes: number) => createHash('shake256', { outputLength: bytes }).update('seed').digest()

function policy(size: number): string {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'a'))
  writeFileSync(join(folder, 'a/policy.rego'), 'package a\nimport rego.v1\nallow if input.x\n')
  writeFileSync(join(folder, 'a/data.json'), JSON.stringify({ noise: random(size).toString('base64') }))
  return folder
}

it('beyond a quota pushes are refused, looks fail, and the last good release is served on', async () => {
  server = await startLongshore({
    config: {
      content: { quota: '400KiB', repository_quotas: { 'policies/*': '100KiB', 'bundles/*': '60KiB' } },
      bundles: { authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off' } },
    },
  })
  const push = (size: number, to: string) => longshore(['push', policy(size), `${server.host}/${to}`])
  expect(await push(40_000, 'policies/authz:latest')).toMatchObject({ code: 0 })
  expect(await server.look('authz')).toMatchObject({ outcome: 'unchanged' })
  const before = await (await server.fetch('/bundles/authz')).arrayBuffer()

  const refused = await push(70_000, 'policies/authz:latest')
  expect(refused.code).toBe(3)
  expect(refused.stderr).toMatch(/repository policies\/authz may have 100 KiB, and would have/)
  expect(refused.stderr).toMatch(/have the quota of .* raised/)
  expect(refused.stderr).not.toMatch(/longshore login/)

  // It fits where it was pushed to, but not where the bundle is kept.
  expect(await push(50_000, 'policies/authz:latest')).toMatchObject({ code: 0 })
  const look = await server.look('authz')
  expect(look).toMatchObject({ outcome: 'failed', code: 'quota_exceeded' })
  expect(look.message).toMatch(/^repository bundles\/authz may have 60 KiB, and would have/)
  expect((await server.bundle('authz')).health).toBe('stale')
  expect(Buffer.from(await (await server.fetch('/bundles/authz')).arrayBuffer()).equals(Buffer.from(before))).toBe(true)

  const blob = random(350_000)
  const url = `/v2/other/blobs/uploads/?digest=sha256:${createHash('sha256').update(blob).digest('hex')}`
  const answer = await server.fetch(url, { method: 'POST', body: blob })
  expect(answer.status).toBe(403)
  expect(await answer.json()).toMatchObject({
    errors: [{ code: 'DENIED', message: expect.stringMatching(/^all content together may have 400 KiB, and has/) }],
  })
  expect(await push(1_000, 'other:latest')).toMatchObject({ code: 0 })
})
