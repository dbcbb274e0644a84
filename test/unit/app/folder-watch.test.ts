import { mkdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, expect, it } from 'vitest'
import {
  everyMs,
  patienceMs,
  watchFolder,
  type FolderWatch,
  type FolderWatchOptions,
} from '../../../src/app/folder-watch.ts'
import { createLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'

let watch: FolderWatch | undefined
afterEach(() => watch?.stop())

async function rig(more: Partial<FolderWatchOptions> = {}) {
  const folder = join(tempDir('watched'), 'data')
  mkdirSync(join(folder, 'blobs'), { recursive: true })
  for (const name of ['id', 'state.db']) writeFileSync(join(folder, name), name)
  const clock = new FakeClock()
  const log = new PassThrough()
  const chunks: string[] = []
  log.on('data', (chunk) => chunks.push(String(chunk)))
  const logger = createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream: log })
  const lost: boolean[] = []
  const metrics = { setFolderLost: (isLost: boolean) => void lost.push(isLost) }
  watch = await watchFolder({ folder, hasState: true, clock, logger, metrics, ...more })
  const levels = () =>
    chunks
      .join('')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { level: number }).level)
  return { folder, clock, lost, levels, watch }
}

it('says that the folder is gone or another one, once, until it is back', async () => {
  const { folder, clock, lost, levels, watch } = await rig()
  await clock.advance(everyMs)
  expect(watch.warnings()).toEqual([])
  renameSync(folder, `${folder}.gone`)
  mkdirSync(folder)
  await clock.advance(everyMs)
  await waitFor('it to be noticed', () => watch.warnings().length > 0)
  expect(watch.warnings()[0]).toMatch(/^the content folder is lost: it, or something in it, was removed or replaced\./)
  // Anybody may ask whether we are ready.
  expect(watch.warnings()[0]).not.toContain(folder)
  rmdirSync(folder)
  renameSync(`${folder}.gone`, folder)
  await clock.advance(everyMs)
  await waitFor('it to be back', () => watch.warnings().length === 0)
  expect(lost).toEqual([true, false])
  await waitFor('two lines', () => levels().length === 2)
  expect(levels()).toEqual([50, 30])
})

it('says that something in it was replaced', async () => {
  const { folder, clock, watch } = await rig()
  renameSync(join(folder, 'state.db'), join(folder, 'other'))
  writeFileSync(join(folder, 'state.db'), 'state.db')
  await clock.advance(everyMs)
  await waitFor('it to be noticed', () => watch.warnings().length > 0)
})

it('asks a disk that does not answer once, and says so meanwhile', async () => {
  let asked = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  let isStuck = false
  const numberOf = async () => {
    asked++
    if (isStuck) await promise
    return 1
  }
  const { clock, levels, watch } = await rig({ numberOf, hasState: false })
  isStuck = true
  asked = 0
  await clock.advance(patienceMs)
  expect(watch.warnings()).toEqual([])
  await clock.advance(2 * everyMs)
  expect(asked).toBe(2)
  expect(watch.warnings()[0]).toMatch(/^the content folder is lost: it does not answer/)
  resolve()
  await clock.advance(1)
  expect(watch.warnings()).toEqual([])
  await waitFor('two lines', () => levels().length === 2)
  expect(levels()).toEqual([50, 30])
})
