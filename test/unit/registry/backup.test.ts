import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFolderContent } from '../../../src/content/folder.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { backUp, blobPath } from '../../../src/registry/backup.ts'
import { restore } from '../../../src/registry/restore.ts'
import { verifyContent } from '../../../src/registry/verify.ts'
import { checkSnapshot, openSnapshot, putSnapshot } from '../../../src/state/sqlite/snapshot.ts'
import { takeLock } from '../../../src/state/sqlite/lock.ts'
import { createSqliteState } from '../../../src/state/sqlite/client.ts'
import { contentId } from '../../../src/content/files.ts'
import { createRegistry } from '../../../src/registry/registry.ts'
import { FakeClock } from '../../support/clock.ts'
import { frozen, frozenVersions, thaw } from '../../support/frozen-state.ts'
import { tempDir } from '../../support/temp.ts'
import { push } from './open.ts'

const clock = new FakeClock()
const closers: (() => Promise<void>)[] = []
let folder: string
let source: Awaited<ReturnType<typeof open>>

/** With the state's real thread and the folder's own id, as a server has it. */
async function open(path: string) {
  const state = await createSqliteState({ path, contentId: await contentId(path), logger: silentLogger })
  const content = await createFolderContent({ path, logger: silentLogger })
  const registry = createRegistry({ content, catalog: state.catalog, clock, logger: silentLogger, folder: path })
  const close = async () => {
    await registry.close()
    await content.close()
    await state.close()
  }
  closers.push(close)
  return { state, content, registry, close }
}

const backup = (to: string, more: object = {}, signal?: AbortSignal) =>
  backUp({ folder, content: source.content, state: source.state, clock, ...more }, to, signal)

const restoreTo = (from: string, to: string) =>
  restore({
    ...{ from, to, checkSnapshot, openSnapshot, putState: putSnapshot, lock: takeLock },
    openContent: (path) => createFolderContent({ path, logger: silentLogger }),
  })

function setVersion(file: string, version: number): void {
  const database = new DatabaseSync(file)
  database.exec(`update schema_version set version = ${version}`)
  database.close()
}

/** Only the last page: it can be opened, and what is read first is right. */
function damageLastPage(file: string): void {
  const bytes = readFileSync(file)
  bytes.fill(0xa5, bytes.length - 4_096)
  writeFileSync(file, bytes)
}

async function findings({ content, state, registry }: Omit<typeof source, 'close'>): Promise<string[]> {
  const { findings } = await verifyContent({ content, catalog: state.catalog, registry, clock })
  return findings.map(({ kind }) => kind)
}

beforeEach(async () => {
  folder = tempDir('source')
  source = await open(folder)
})

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

describe('a backup', () => {
  it('is everything, and can be restored', async () => {
    const manifest = await push(source.registry.repository('policies/authz'), 'layer', ['v1'])
    await source.state.facts.set('pin', 'v1')
    const to = join(tempDir('backup'), 'new/folder')
    expect(await backup(to)).toEqual({ path: to, blobs: 3, bytes: 7 + manifest.bytes.length, missing: [] })
    expect(readdirSync(to).sort()).toEqual(['backup.json', 'blobs', 'id', 'state.db'])

    const target = join(tempDir('restored'), 'data')
    expect(await restoreTo(to, target)).toMatchObject({ path: target, at: clock.now(), blobs: 3, damaged: [] })
    const restored = await open(target)
    expect(await restored.state.facts.get('pin')).toBe('v1')
    expect((await restored.registry.repository('policies/authz').manifest('v1')).digest).toBe(manifest.digest)
    expect(await findings(restored)).toEqual([])
    await restored.close()
    expect(existsSync(join(target, 'repositories/policies/authz/index.json'))).toBe(true)
    expect(await contentId(target)).toBe(await contentId(folder))
  })

  it('is whole, whatever is pushed and deleted meanwhile', async () => {
    let isOver = false
    /** By repository and manifest, what was acknowledged and is not taken back again. */
    const acknowledged = new Set<string>()
    const write = async (name: string) => {
      const repository = source.registry.repository(name)
      for (let i = 0; !isOver; i++) {
        const { digest } = await push(repository, `${name} ${i}`, [`t${i % 3}`])
        if (i % 4 === 3) await repository.deleteManifest(digest)
        else acknowledged.add(`${name}@${digest}`)
      }
    }
    const writers = ['a', 'b', 'c'].map(write)
    const root = tempDir('backups')
    const due: string[][] = []
    for (let round = 0; round < 5; round++) {
      due.push([...acknowledged])
      await backup(join(root, String(round)))
    }
    isOver = true
    await Promise.all(writers)
    for (let round = 0; round < 5; round++) {
      const target = join(tempDir('restored'), 'data')
      expect((await restoreTo(join(root, String(round)), target)).damaged).toEqual([])
      const restored = await open(target)
      expect(await findings(restored)).toEqual([])
      for (const name of due[round]!) {
        const [repository = '', digest = ''] = name.split('@')
        expect((await restored.registry.repository(repository).manifest(digest)).digest).toBe(digest)
      }
      await restored.close()
    }
    expect(due.at(-1)!.length).toBeGreaterThan(0)
  })

  it.each(frozenVersions)('of version %s, from before an upgrade, can be restored by this one', async (version) => {
    const from = thaw(version)
    mkdirSync(join(from, 'blobs/sha256'), { recursive: true })
    for (const text of [frozen.layer, frozen.config, frozen.manifest])
      writeFileSync(blobPath(from, digestOf(text)), text)
    writeFileSync(join(from, 'id'), `${frozen.contentId}\n`)
    writeFileSync(join(from, 'backup.json'), JSON.stringify({ format: 1, at: 1, blobs: 3, bytes: 100 }))
    const target = join(tempDir('restored'), 'data')
    // Of its orphan there is only the row.
    expect(await restoreTo(from, target)).toMatchObject({ blobs: 3, damaged: [digestOf('orphan')] })
    const restored = await open(target)
    expect(await restored.state.bundles.current()).toMatchObject([
      { bundle: 'authz', bundleDigest: digestOf(frozen.layer) },
    ])
    expect((await restored.registry.repository('policies/authz').manifest('latest')).bytes.toString()).toBe(
      frozen.manifest,
    )
    await restored.close()
  })

  it('shares the bytes on one file system, and copies them to another', async () => {
    await push(source.registry.repository('a'), 'layer')
    const root = tempDir('backups')
    await backup(join(root, 'linked'))
    const elsewhere = () => Promise.reject(Object.assign(new Error('EXDEV'), { code: 'EXDEV' }))
    await backup(join(root, 'copied'), { linkFile: elsewhere })
    const inode = (path: string) => statSync(blobPath(path, digestOf('layer'))).ino
    expect(inode(join(root, 'linked'))).toBe(inode(folder))
    expect(inode(join(root, 'copied'))).not.toBe(inode(folder))
    expect((await restoreTo(join(root, 'copied'), join(root, 'restored'))).blobs).toBe(3)
  })

  it('says which blobs are lost', async () => {
    await push(source.registry.repository('a'), 'layer')
    rmSync(blobPath(folder, digestOf('layer')))
    const to = join(tempDir('backup'), 'new')
    expect(await backup(to)).toMatchObject({ blobs: 2, missing: [digestOf('layer')] })
    const restored = await restoreTo(to, join(tempDir('restored'), 'data'))
    expect(restored).toMatchObject({ blobs: 2, damaged: [digestOf('layer')] })
  })

  it.each(['something in it', 'inside', 'relative', 'a file'])(
    'is not made in a folder that cannot be meant: %s',
    async (why) => {
      const to = tempDir('backup')
      writeFileSync(join(to, 'mine'), 'x')
      const path = {
        'something in it': to,
        inside: join(folder, 'backup'),
        relative: 'backup',
        'a file': join(to, 'mine'),
      }[why]!
      await expect(backup(path)).rejects.toMatchObject({
        name: 'ConfigError',
        message: expect.stringMatching(/^cannot back up to/),
      })
      expect(readdirSync(to)).toEqual(['mine'])
    },
  )

  it('leaves nothing when it is broken off or fails', async () => {
    await push(source.registry.repository('a'), 'layer')
    const root = tempDir('backup')
    await expect(backup(join(root, 'a'), {}, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
    const full = () => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
    await expect(backup(join(root, 'b'), { linkFile: full })).rejects.toMatchObject({ code: 'disk_full' })
    expect(readdirSync(root)).toEqual([])
  })
})

describe('restoring', () => {
  it('refuses what is no whole backup, and a folder that has something', async () => {
    await push(source.registry.repository('a'), 'layer')
    const to = join(tempDir('backup'), 'new')
    await backup(to)
    const full = tempDir('full')
    writeFileSync(join(full, 'mine'), 'x')
    await expect(restoreTo(to, full)).rejects.toMatchObject({ name: 'ConfigError' })
    rmSync(join(to, 'backup.json'))
    const target = join(tempDir('restored'), 'data')
    await expect(restoreTo(to, target)).rejects.toMatchObject({ message: expect.stringMatching(/is no whole backup/) })
    writeFileSync(join(to, 'backup.json'), '{"format":2}')
    await expect(restoreTo(to, target)).rejects.toMatchObject({ message: expect.stringMatching(/newer longshore/) })
    expect(existsSync(target)).toBe(false)
  })

  it.each([
    ['cut short', (file: string) => truncateSync(file, 20_000), 'corrupt', /state\.db, is damaged/],
    ['cut to nothing', (file: string) => truncateSync(file), 'corrupt', /state\.db, is damaged/],
    ['damaged where nobody looks at first', damageLastPage, 'corrupt', /state\.db, is damaged/],
    ['no database', (file: string) => writeFileSync(file, 'x'.repeat(9_000)), 'corrupt', /state\.db, is damaged/],
    ['gone', (file: string) => rmSync(file), 'io', /cannot be opened/],
    ['newer', (file: string) => setVersion(file, 99), 'foreign', /schema version 99/],
  ])('refuses a state that is %s before anything is written', async (_what, harm, code, message) => {
    await push(source.registry.repository('a'), 'layer')
    const from = join(tempDir('backup'), 'new')
    await backup(from)
    harm(join(from, 'state.db'))
    const to = join(tempDir('restored'), 'data')
    const expected = { name: 'StorageError', code, message: expect.stringMatching(message) as string }
    await expect(restoreTo(from, to)).rejects.toMatchObject({ ...expected, hint: expect.any(String) as string })
    expect(existsSync(to)).toBe(false)
  })

  it('never takes damaged bytes', async () => {
    await push(source.registry.repository('a'), 'layer')
    const to = join(tempDir('backup'), 'new')
    await backup(to, { linkFile: () => Promise.reject(Object.assign(new Error('EXDEV'), { code: 'EXDEV' })) })
    writeFileSync(blobPath(to, digestOf('layer')), 'LAYER')
    const target = join(tempDir('restored'), 'data')
    expect(await restoreTo(to, target)).toMatchObject({ blobs: 2, damaged: [digestOf('layer')] })
    expect(existsSync(blobPath(target, digestOf('layer')))).toBe(false)
  })

  it('has no state before it has everything else', async () => {
    await push(source.registry.repository('a'), 'layer')
    const to = join(tempDir('backup'), 'new')
    await backup(to)
    const target = tempDir('restored')
    rmSync(blobPath(to, digestOf('layer')))
    mkdirSync(blobPath(to, digestOf('layer')))
    await expect(restoreTo(to, target)).rejects.toThrow()
    expect(existsSync(join(target, 'state.db'))).toBe(false)
  })
})
