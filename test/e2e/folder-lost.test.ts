// The data folder disappears below a running server, as when its disk is unmounted: an empty folder is where it was.
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { longshore, startLongshore } from '../support/longshore.ts'
import { pushPolicy, writeFiles } from '../support/policy.ts'
import { waitFor } from '../support/wait.ts'

it('is warned of while what is in memory is served, and all goes on when it is back', async () => {
  const authz = { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off' }
  const server = await startLongshore({ config: { bundles: { authz } } })
  await pushPolicy('one', `${server.host}/policies/authz:latest`)
  await server.look('authz')
  const served = async () => digestOf(Buffer.from(await (await server.fetch('/bundles/authz')).arrayBuffer()))
  const ready = async () => {
    const answer = await server.fetch('/health/ready')
    return { status: answer.status, ...((await answer.json()) as { ready: boolean; warnings: string[] }) }
  }
  const push = () =>
    longshore(['push', writeFiles({ 'a.rego': 'package a\n' }), `${server.host}/policies/other:latest`])
  const before = await served()
  const [data, elsewhere] = [join(server.folder, 'data'), join(server.folder, 'elsewhere')]

  renameSync(data, elsewhere)
  mkdirSync(data)
  await waitFor('a warning', async () => (await ready()).warnings.length > 0)
  expect(await ready()).toMatchObject({
    status: 200,
    ready: true,
    warnings: [expect.stringMatching(/^the content folder is lost: .* removed or replaced/) as string],
  })
  await server.logged({ level: 50, path: data })
  expect(await server.metric('longshore_content_folder_lost')).toBe(1)
  const status = await longshore(['status', '--json', '-c', server.configFile])
  expect(status.stderr).toMatch(/^warning: the content folder is lost/)
  expect(JSON.parse(status.stdout)).toMatchObject({ bundles: [{ health: 'ok' }], warnings: [expect.any(String)] })
  expect(await served()).toBe(before)
  expect((await push()).code).not.toBe(0)

  rmSync(data, { recursive: true })
  renameSync(elsewhere, data)
  await waitFor('no warning', async () => (await ready()).warnings.length === 0)
  expect(await server.metric('longshore_content_folder_lost')).toBe(0)
  const again = await push()
  expect(again.code, again.stderr).toBe(0)
  await server.stop()
})
