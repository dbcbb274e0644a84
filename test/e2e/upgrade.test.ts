// A server on the data folder that an earlier longshore left: test/unit/state/versions has the states.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { frozen, frozenVersions, thaw } from '../support/frozen-state.ts'
import { longshore, startLongshore } from '../support/longshore.ts'
import { pushPolicy } from '../support/policy.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

function dataFolder(version: number): string {
  const folder = tempDir('upgrade')
  const data = join(folder, 'data')
  mkdirSync(join(data, 'blobs/sha256'), { recursive: true })
  thaw(version, data)
  writeFileSync(join(data, 'id'), `${frozen.contentId}\n`)
  for (const text of [frozen.layer, frozen.config, frozen.manifest]) {
    writeFileSync(join(data, 'blobs/sha256', digestOf(text).slice(7)), text)
  }
  return folder
}

const config = { bundles: { authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off' } } }

it.each(frozenVersions)('what version %s released is served on, and a newer release follows', async (version) => {
  const server = await startLongshore({ config, folder: dataFolder(version) })
  const served = await server.fetch('/bundles/authz')
  expect([served.status, await served.text()]).toEqual([200, frozen.layer])
  const pulled = await server.fetch('/v2/policies/authz/manifests/latest')
  expect(await pulled.text()).toBe(frozen.manifest)
  expect((await server.releases('authz')).map(({ number }) => number)).toEqual([1])
  await pushPolicy('new', `${server.host}/policies/authz:latest`)
  await waitFor('the next release', async () => (await server.bundle('authz')).current?.number === 2)
  const verified = await longshore(['verify-content', '--json', '-c', server.configFile])
  const { findings } = JSON.parse(verified.stdout) as { findings: { kind: string; digest: string }[] }
  // Only its orphan has no file here.
  expect(findings).toMatchObject([{ kind: 'missing', digest: digestOf('orphan') }])
  await server.stop()
})

it('what a newer version wrote is refused, with what to do', async () => {
  const folder = dataFolder(frozenVersions.at(-1)!)
  const database = new DatabaseSync(join(folder, 'data/state.db'))
  database.exec('update schema_version set version = 99')
  database.close()
  writeFileSync(join(folder, 'longshore.json'), JSON.stringify({ content: { path: './data' }, ...config }))
  const refused = await longshore(['serve', '-c', join(folder, 'longshore.json')])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/has schema version 99, this longshore knows only up to \d+/)
  expect(refused.stderr).toMatch(/A newer longshore wrote it: start that one, or restore a backup made before it/)
})
