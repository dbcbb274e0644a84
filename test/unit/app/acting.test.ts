import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { whileActing } from '../../../src/app/acting.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { StorageError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { tempDir } from '../../support/temp.ts'
import { from } from '../registry/open.ts'

/** Content of a process that acts until it is told that it does not. */
async function open() {
  let isOurs = true
  const check = () => (isOurs ? Promise.resolve() : Promise.reject(new StorageError('locked', 'another one acts')))
  const folder = await createFolderContent({ path: tempDir('acting'), logger: silentLogger })
  const content = whileActing(folder, { check, lost: new Promise(() => undefined) })
  const { digest } = await content.ingest(from('blob'))
  writeFileSync(join(content.scratch, 'work'), '')
  return { content, digest, lose: () => (isOurs = false) }
}

it('whoever acts removes what nobody needs, and the work in progress at its end', async () => {
  const { content, digest } = await open()
  expect(await content.remove(digest, () => Promise.resolve(false))).toBe(false)
  expect(await content.remove(digest, () => Promise.resolve(true))).toBe(true)
  expect(await content.stat(digest)).toBeUndefined()
  await content.close()
  expect(existsSync(join(content.scratch, 'work'))).toBe(false)
})

it('whoever does not any more removes nothing: neither a blob nor the work in progress of the one that acts', async () => {
  const { content, digest, lose } = await open()
  lose()
  for (const confirm of [undefined, () => Promise.resolve(true)]) {
    await expect(content.remove(digest, confirm)).rejects.toMatchObject({ code: 'locked' })
  }
  expect(await content.stat(digest)).toBeDefined()
  await content.close()
  expect(existsSync(join(content.scratch, 'work'))).toBe(true)
})
