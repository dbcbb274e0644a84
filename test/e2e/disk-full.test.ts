import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Content } from '../../src/content/content.ts'
import { createFolderContent } from '../../src/content/folder.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { createRegistry } from '../../src/registry/registry.ts'
import type { RawManifest } from '../../src/oci/target.ts'
import type { Registry } from '../../src/registry/types.ts'
import type { State } from '../../src/state/state.ts'
import { createSqliteState } from '../../src/state/sqlite/client.ts'
import { tempDir } from '../support/temp.ts'
import { image, push } from '../unit/registry/open.ts'
import { draft } from '../unit/state/open.ts'

// A real disk of 16 MiB that runs full. Mounting needs root, as in CI's container; elsewhere faults are injected by the
// tests of content.

const mayMount = canMount()

function canMount(): boolean {
  try {
    const folder = tempDir('mount')
    mount(folder)
    unmount(folder)
    return true
  } catch {
    process.stderr.write('skipped: a full disk: mounting a tmpfs needs root\n')
    return false
  }
}

function mount(folder: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stdio: 'ignore' })
}

function unmount(folder: string): void {
  execFileSync('umount', [folder], { stdio: 'ignore' })
}

async function* from(...chunks: Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk)
}

describe.runIf(mayMount)('on a disk that is full', () => {
  let folder: string
  let state: State
  let content: Content
  let registry: Registry

  beforeEach(async () => {
    folder = tempDir('disk-full')
    mount(folder)
    state = await createSqliteState({ path: folder, contentId: 'content', logger: silentLogger })
    content = await createFolderContent({ path: folder, logger: silentLogger })
    registry = createRegistry({ content, catalog: state.catalog, clock: systemClock, logger: silentLogger, folder })
  })

  afterEach(async () => {
    rmSync(join(folder, 'filler'), { force: true })
    await registry.close()
    await state.close()
    unmount(folder)
  })

  /** Takes all space but about this much. */
  function fill(leftBytes: number): void {
    const piece = Buffer.alloc(4096)
    try {
      for (;;) writeFileSync(join(folder, 'filler'), piece, { flag: 'a' })
    } catch {
      if (leftBytes > 0) execFileSync('truncate', ['-s', `-${leftBytes}`, join(folder, 'filler')])
    }
  }

  /** Until the state, which has room of its own for a while, takes not even a little more. */
  async function exhaust(): Promise<void> {
    fill(0)
    for (const size of [100_000, 1]) {
      for (let at = 0; ; at++) {
        const isTaken = await state.facts.set(`${size}-${at}`, 'x'.repeat(size)).then(
          () => true,
          () => false,
        )
        if (!isTaken) break
      }
    }
  }

  const free = () => {
    rmSync(join(folder, 'filler'), { force: true })
  }

  it('refuses a blob plainly, leaves nothing of it, and takes it when there is space again', async () => {
    const bytes = randomBytes(2 * 1024 * 1024)
    const repository = registry.repository('a')
    fill(1024 * 1024)
    await expect(repository.ingestBlob(from(bytes), { digest: digestOf(bytes) })).rejects.toMatchObject({
      name: 'StorageError',
      code: 'disk_full',
      message: expect.stringContaining(digestOf(bytes)) as string,
      hint: expect.stringContaining(folder) as string,
    })
    expect(readdirSync(join(folder, 'ingest'))).toEqual([])
    expect(await repository.statBlob(digestOf(bytes))).toBeUndefined()
    free()
    await repository.ingestBlob(from(bytes), { digest: digestOf(bytes) })
    expect(await content.verify(digestOf(bytes))).toBe(true)
  })

  it('keeps an upload as it was before the chunk that did not fit', async () => {
    const [first, second] = [randomBytes(500_000), randomBytes(2 * 1024 * 1024)]
    const { uploads } = registry
    const id = await uploads.start('a')
    await uploads.append('a', id, from(first), { maxBytes: 1e9 })
    fill(1024 * 1024)
    await expect(uploads.append('a', id, from(second), { maxBytes: 1e9 })).rejects.toMatchObject({ code: 'disk_full' })
    expect(await uploads.status('a', id)).toBe(first.length)
    free()
    await uploads.append('a', id, from(second), { maxBytes: 1e9, offset: first.length })
    const digest = digestOf(Buffer.concat([first, second]))
    await uploads.finish('a', id, digest)
    expect(await content.verify(digest)).toBe(true)
  })

  it('refuses what the state cannot hold, answers reads meanwhile, loses nothing and goes on', async () => {
    await state.facts.set('before', 'full')
    fill(0)
    const big = 'x'.repeat(100_000)
    const writes = await Promise.allSettled(Array.from({ length: 80 }, (_, at) => state.facts.set(`k${at}`, big)))
    const refused = writes.filter((write) => write.status === 'rejected').map(({ reason }) => reason as unknown)
    expect(refused.length).toBeGreaterThan(0)
    for (const error of refused) {
      expect(error).toMatchObject({
        name: 'StorageError',
        code: 'disk_full',
        hint: expect.stringContaining(folder) as string,
      })
    }
    expect(await state.facts.get('before')).toBe('full')
    for (const [at, write] of writes.entries()) {
      expect(await state.facts.get(`k${at}`)).toBe(write.status === 'fulfilled' ? big : undefined)
    }
    free()
    await state.facts.set('after', 'free')
    await state.close()
    state = await createSqliteState({ path: folder, contentId: 'content', logger: silentLogger })
    expect(await state.facts.get('after')).toBe('free')
    expect(await state.facts.get('before')).toBe('full')
  })

  it('shows nothing of a manifest or a release whose commit finds no room, and takes it when there is room again', async () => {
    // Its bytes have a disk of their own, with room.
    const elsewhere = tempDir('content')
    const roomy = await createFolderContent({ path: elsewhere, logger: silentLogger })
    const { catalog } = state
    const parts = { content: roomy, catalog, clock: systemClock, logger: silentLogger, folder: elsewhere }
    const beside = createRegistry(parts)
    const repository = beside.repository('bundles/authz')
    const before = await push(repository, 'one', ['latest'])
    const release = (raw: RawManifest, text: string) =>
      state.bundles.append(draft(text, { manifestDigest: raw.digest, sourceDigest: raw.digest }), {
        ...{ tags: ['latest', text], places: ['prod'], keep: 9, at: 1 },
        memo: { bundle: 'authz', fingerprint: text, recipe: 'r' },
      })
    await release(before, 'one')
    const raw = image('two')
    for (const blob of ['{}', 'two']) await repository.ingestBlob(from(Buffer.from(blob)), {})
    await exhaust()

    const full = { name: 'StorageError', code: 'disk_full' }
    await expect(repository.putManifest(raw, ['latest'])).rejects.toMatchObject(full)
    expect(await repository.head(raw.digest)).toBeUndefined()
    expect((await repository.head('latest'))?.digest).toBe(before.digest)
    await expect(release(before, 'again')).rejects.toMatchObject(full)
    expect(await state.bundles.current()).toMatchObject([{ number: 1, version: 'one' }])
    expect(await repository.head('again')).toBeUndefined()
    expect(await state.deployments.list('authz')).toMatchObject([{ desired: 1 }])

    free()
    await repository.putManifest(raw, ['latest'])
    expect(await release(raw, 'two')).toMatchObject({ number: 2 })
    expect((await repository.head('latest'))?.digest).toBe(raw.digest)
    await beside.close()
    await roomy.close()
  })

  it('is refused at start when it takes no writes', async () => {
    await registry.close()
    await state.close()
    execFileSync('mount', ['-o', 'remount,ro', folder])
    const opening = createSqliteState({ path: folder, contentId: 'content', logger: silentLogger })
    await expect(opening).rejects.toMatchObject({ name: 'StorageError', code: 'read_only' })
    execFileSync('mount', ['-o', 'remount,rw', folder])
  })
})
