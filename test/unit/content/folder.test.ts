import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Content } from '../../../src/content/content.ts'
import { contentId, fileSteps, type FileSteps } from '../../../src/content/files.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { release } from '../../../src/lib/lent.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { tempDir } from '../../support/temp.ts'

let path: string
let content: Content

beforeEach(async () => {
  path = tempDir('content')
  content = await open()
})

function open(steps?: FileSteps): Promise<Content> {
  return createFolderContent({ path, logger: silentLogger, ...(steps && { steps }) })
}

async function* from(...chunks: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk))
}

async function* failing(...chunks: string[]): AsyncIterable<Uint8Array> {
  yield* from(...chunks)
  throw new Error('the line broke')
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** How often the event loop came round meanwhile. */
async function countTurns<T>(run: () => Promise<T>): Promise<{ turns: number; result: T }> {
  let turns = 0
  let next = setImmediate(function turn() {
    turns++
    next = setImmediate(turn)
  })
  const result = await run()
  clearImmediate(next)
  return { turns, result }
}

const ingesting = () => readdirSync(join(path, 'ingest'))
const stored = (algorithm = 'sha256') => readdirSync(join(path, 'blobs', algorithm))

/** The file that a descriptor stands for. */
function readlink(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}

const fault = (code: string) => Object.assign(new Error(`${code}: injected`), { code })

/** Writes down each step, and lets a test make one fail. */
function watched(fail: Partial<Record<string, string>> = {}) {
  const log: string[] = []
  const step = async (name: string) => {
    await Promise.resolve()
    log.push(name)
    if (fail[name] !== undefined) throw fault(fail[name])
  }
  const steps: FileSteps = {
    async create(file) {
      await step('create')
      const real = await fileSteps.create(file)
      return {
        write: (buffers, position) => step('write').then(() => real.write(buffers, position)),
        flush: () => step('flush').then(() => real.flush()),
        truncate: (size) => step('truncate').then(() => real.truncate(size)),
        sync: () => step('sync').then(() => real.sync()),
        close: () => step('close').then(() => real.close()),
      }
    },
    rename: (a, b) => step('rename').then(() => fileSteps.rename(a, b)),
    syncFolder: (folder) => step('sync folder').then(() => fileSteps.syncFolder(folder)),
    remove: (file) => step('remove').then(() => fileSteps.remove(file)),
    freeBytes: (folder) => fileSteps.freeBytes(folder),
  }
  return { log, steps, fail }
}

describe('ingest', () => {
  it('stores the bytes under their digest and leaves nothing aside', async () => {
    const info = await content.ingest(from('hello, ', 'world'))
    expect(info).toEqual({ digest: digestOf('hello, world'), size: 12 })
    expect(stored()).toEqual([info.digest.slice(7)])
    expect(await collect(content.read(info.digest))).toEqual(Buffer.from('hello, world'))
    expect(await content.stat(info.digest)).toEqual(info)
    expect(ingesting()).toEqual([])
  })

  it('stores big chunks and many small ones as they came', async () => {
    const bytes = randomBytes(5 * 1024 * 1024 + 17)
    const pieces = Array.from({ length: 700 }, (_, at) => bytes.subarray(at * 1000, (at + 1) * 1000))
    const info = await content.ingest(from(...pieces, bytes.subarray(700_000)), { digest: digestOf(bytes) })
    expect((await collect(content.read(info.digest))).equals(bytes)).toBe(true)
  })

  it('lets the loop turn while it takes one very big chunk', async () => {
    const bytes = Buffer.alloc(16 * 1024 * 1024, 'x')
    const { turns, result } = await countTurns(() => content.ingest(from(bytes)))
    expect(turns).toBeGreaterThanOrEqual(8)
    expect(await content.verify(result.digest)).toBe(true)
  })

  it('brings a big blob to the disk while it comes, and hears when that fails', async () => {
    const chunk = randomBytes(1024 * 1024)
    const big = () => from(...Array.from({ length: 130 }, () => chunk))
    const { log, steps, fail } = watched()
    const folder = await open(steps)
    await folder.ingest(big())
    expect(log.filter((step) => step === 'flush')).toHaveLength(2)
    expect(log.slice(-5)).toEqual(['truncate', 'sync', 'close', 'rename', 'sync folder'])
    fail.flush = 'EIO'
    await expect(folder.ingest(big())).rejects.toMatchObject({ name: 'StorageError', code: 'io' })
    expect(ingesting()).toEqual([])
  })

  it('takes sha512, when it is asked for by name or by digest', async () => {
    const digest = digestOf('x', 'sha512')
    expect((await content.ingest(from('x'), { algorithm: 'sha512' })).digest).toBe(digest)
    expect((await content.ingest(from('x'), { digest })).digest).toBe(digest)
    expect(stored('sha512')).toEqual([digest.slice(7)])
    expect(stored()).toEqual([])
  })

  it.each([
    ['another digest', { digest: digestOf('other') }, 'digest_mismatch'],
    ['too few bytes', { size: 7 }, 'size_mismatch'],
    ['more bytes than announced', { size: 3 }, 'size_mismatch'],
    ['more bytes than allowed', { maxBytes: 5 }, 'size_mismatch'],
  ])('refuses %s, and nothing is visible', async (_what, options, code) => {
    await expect(content.ingest(from('123', '456'), options)).rejects.toMatchObject({ name: 'IntegrityError', code })
    expect(stored()).toEqual([])
    expect(ingesting()).toEqual([])
  })

  it('hands on the error of the source and cleans up', async () => {
    await expect(content.ingest(failing('some'))).rejects.toThrow('the line broke')
    expect(ingesting()).toEqual([])
  })

  it('stops at the signal', async () => {
    const stop = new AbortController()
    async function* endless() {
      for (;;) {
        yield Buffer.from('x')
        stop.abort(new Error('enough'))
        await Promise.resolve()
      }
    }
    await expect(content.ingest(endless(), { signal: stop.signal })).rejects.toThrow('enough')
    expect(ingesting()).toEqual([])
  })

  it('verifies a blob that is there already before it drops it', async () => {
    const { digest } = await content.ingest(from('same'))
    const before = statSync(await content.file(digest)).ino
    await expect(content.ingest(from('not the same'), { digest })).rejects.toMatchObject({ code: 'digest_mismatch' })
    await content.ingest(from('same'), { digest })
    expect(statSync(await content.file(digest)).ino).toBe(before)
    expect(ingesting()).toEqual([])
  })

  it('replaces a blob that lost bytes on the disk', async () => {
    const { digest } = await content.ingest(from('whole'))
    writeFileSync(await content.file(digest), 'who')
    await content.ingest(from('whole'), { digest })
    expect(await content.verify(digest)).toBe(true)
  })

  it('takes the same bytes several times at once', async () => {
    const bytes = randomBytes(300_000)
    const infos = await Promise.all(Array.from({ length: 8 }, () => content.ingest(from(bytes))))
    expect(new Set(infos.map(({ digest }) => digest)).size).toBe(1)
    expect(await content.verify(infos[0]!.digest)).toBe(true)
    expect(ingesting()).toEqual([])
  })
})

describe('durability', () => {
  it('syncs the file before it gets its name, and the folder after', async () => {
    const { log, steps } = watched()
    content = await open(steps)
    await content.ingest(from('x'))
    expect(log).toEqual(['create', 'write', 'truncate', 'sync', 'close', 'rename', 'sync folder'])
  })

  it('syncs the folder for a blob that is there already: its rename may be another ingest’s', async () => {
    await content.ingest(from('x'))
    const { log, steps } = watched()
    content = await open(steps)
    await content.ingest(from('x'))
    expect(log).toEqual(['create', 'write', 'close', 'remove', 'sync folder'])
  })

  it.each(['write', 'sync', 'rename'])('shows nothing when the %s fails', async (step) => {
    const { steps } = watched({ [step]: 'EIO' })
    content = await open(steps)
    await expect(content.ingest(from('x'))).rejects.toMatchObject({ name: 'StorageError', code: 'io' })
    expect(await content.stat(digestOf('x'))).toBeUndefined()
    expect(ingesting()).toEqual([])
  })

  it('does not answer before the folder is synced', async () => {
    const { steps } = watched({ 'sync folder': 'EIO' })
    content = await open(steps)
    await expect(content.ingest(from('x'))).rejects.toMatchObject({ code: 'io' })
  })
})

describe('faults', () => {
  it.each([
    ['ENOSPC', 'disk_full', /Free space/],
    ['EDQUOT', 'disk_full', /quota/],
    ['EROFS', 'read_only', /writable/],
    ['EACCES', 'read_only', /right to write/],
    ['EIO', 'io', undefined],
  ])('%s is %s and says what, where and what to do', async (fails, code, hint) => {
    const { steps } = watched({ write: fails })
    content = await open(steps)
    const error = (await content.ingest(from('x'), { digest: digestOf('x') }).catch((e: unknown) => e)) as Error & {
      hint?: string
    }
    expect(error).toMatchObject({ name: 'StorageError', code })
    expect(error.message).toContain(`blob ${digestOf('x')}`)
    expect(error.message).toContain(join(path, 'ingest'))
    if (hint !== undefined) expect(error.hint).toMatch(hint)
  })

  it('are told before anything is asked for where what is announced has no room', async () => {
    const { steps, log } = watched()
    const size = 2 * 1024 ** 2
    let free = size - 1
    content = await open({ ...steps, freeBytes: async () => free })
    log.length = 0
    const bytes = randomBytes(size)
    const digest = digestOf(bytes)
    let asked = 0
    async function* source() {
      asked++
      yield await Promise.resolve(bytes)
    }
    await expect(content.ingest(source(), { digest, size })).rejects.toMatchObject({
      name: 'StorageError',
      code: 'disk_full',
      message: `there is no room for the 2 MiB of ${digest} on the disk that holds ${join(path, 'ingest')}`,
    })
    expect([asked, log]).toEqual([0, []])
    free = size
    expect(await content.ingest(source(), { digest, size })).toEqual({ digest, size })
  })

  it.each(['create', 'write'])('are no news when the same comes again: %s', async (step) => {
    const { steps } = watched({ [step]: 'ENOSPC' })
    content = await open(steps)
    const failure = () => content.ingest(from('x'), { digest: digestOf('x') }).catch((e: unknown) => e as Error)
    const [one, other] = [(await failure()) as Error, (await failure()) as Error]
    expect(one.message).toMatch(/the disk is full/)
    expect(other.message).toBe(one.message)
  })
})

describe('reading', () => {
  let digest: Digest
  const bytes = randomBytes(700_000)

  beforeEach(async () => {
    digest = (await content.ingest(from(bytes))).digest
  })

  it.each([
    [0, 0],
    [5, 9],
    [262_143, 262_144],
    [699_999, 699_999],
    [600_000, 5_000_000],
  ])('gives the range %i to %i, both included', async (first, last) => {
    expect(await collect(content.read(digest, { first, last }))).toEqual(bytes.subarray(first, last + 1))
  })

  it('lets the loop turn between chunks', async () => {
    const { turns } = await countTurns(() => collect(content.read(digest)))
    expect(turns).toBeGreaterThanOrEqual(3)
  })

  it('reads into the same memory again once it was released, and never before', async () => {
    const buffers = new Set<ArrayBufferLike>()
    const got: Buffer[] = []
    for await (const chunk of content.read(digest)) {
      buffers.add(chunk.buffer)
      got.push(Buffer.from(chunk))
      release(chunk)
    }
    expect(Buffer.concat(got).equals(bytes)).toBe(true)
    expect(buffers.size).toBe(1)
    const kept = await Array.fromAsync(content.read(digest))
    expect(Buffer.concat(kept).equals(bytes)).toBe(true)
    expect(new Set(kept.map(({ buffer }) => buffer)).size).toBe(kept.length)
  })

  it('closes the file when the reader stops early', async () => {
    for await (const _ of content.read(digest)) break
    const open = readdirSync('/proc/self/fd').map((fd) => readlink(fd))
    expect(open).not.toContain(await content.file(digest))
  })

  it('gives whole blobs verified and bounded', async () => {
    expect((await content.bytes(digest, bytes.length)).equals(bytes)).toBe(true)
    await expect(content.bytes(digest, bytes.length - 1)).rejects.toMatchObject({ code: 'size_mismatch' })
    const damaged = Buffer.from(bytes)
    damaged[3]! ^= 1
    writeFileSync(await content.file(digest), damaged)
    await expect(content.bytes(digest, bytes.length)).rejects.toMatchObject({ name: 'StorageError', code: 'corrupt' })
  })

  it('tells when bytes and name disagree', async () => {
    expect(await content.verify(digest)).toBe(true)
    writeFileSync(await content.file(digest), 'else')
    expect(await content.verify(digest)).toBe(false)
  })

  it('says that a blob is gone', async () => {
    await content.remove(digest)
    expect(await content.stat(digest)).toBeUndefined()
    for (const use of [
      () => content.file(digest),
      () => content.bytes(digest, 1e9),
      () => content.verify(digest),
      () => collect(content.read(digest)),
    ])
      await expect(use()).rejects.toMatchObject({ name: 'StorageError', code: 'corrupt' })
    await content.remove(digest)
  })

  it('lists what is a blob', async () => {
    const other = await content.ingest(from('y'), { algorithm: 'sha512' })
    writeFileSync(join(path, 'blobs/sha256/README'), 'not ours')
    const found = []
    for await (const { digest, size } of content.list()) found.push({ digest, size })
    expect(found).toEqual([{ digest, size: bytes.length }, other])
  })
})

describe('partials', () => {
  it('grow in pieces and become a blob', async () => {
    const partial = await content.startPartial()
    await partial.append(from('ab'), { maxBytes: 10 })
    await partial.append(from('cd', 'e'), { maxBytes: 10 })
    expect(partial.size).toBe(5)
    expect(stored()).toEqual([])
    expect(await partial.finish(digestOf('abcde'))).toEqual({ digest: digestOf('abcde'), size: 5 })
    expect(await content.verify(digestOf('abcde'))).toBe(true)
    expect(ingesting()).toEqual([])
  })

  it('may be empty', async () => {
    const partial = await content.startPartial()
    expect(await partial.finish(digestOf(''))).toEqual({ digest: digestOf(''), size: 0 })
  })

  it('become a blob under sha512', async () => {
    const partial = await content.startPartial()
    await partial.append(from('abc'), { maxBytes: 10 })
    await partial.finish(digestOf('abc', 'sha512'))
    expect(await content.verify(digestOf('abc', 'sha512'))).toBe(true)
  })

  it.each([
    ['a broken line', () => failing('zzzz', 'zz'), 'the line broke'],
    ['too many bytes', () => from('z'.repeat(11)), 'more than the 10 bytes'],
  ])('take back what an append brought before %s, and go on', async (_what, source, message) => {
    const partial = await content.startPartial()
    await partial.append(from('ab'), { maxBytes: 10 })
    await expect(partial.append(source(), { maxBytes: 10 })).rejects.toThrow(message)
    expect(partial.size).toBe(2)
    expect(statSync(join(path, 'ingest', ingesting()[0]!)).size).toBe(2)
    await partial.append(from('c'), { maxBytes: 10 })
    await partial.finish(digestOf('abc'))
    expect((await content.bytes(digestOf('abc'), 10)).toString()).toBe('abc')
  })

  it('are right even when taking back failed too', async () => {
    const { steps, fail } = watched()
    content = await open(steps)
    const partial = await content.startPartial()
    await partial.append(from('ab'), { maxBytes: 10 })
    fail.truncate = 'EIO'
    await expect(partial.append(failing('z'.repeat(1e6)), { maxBytes: 1e7 })).rejects.toThrow('the line broke')
    delete fail.truncate
    await partial.append(from('c'), { maxBytes: 10 })
    await partial.finish(digestOf('abc'))
    expect((await content.bytes(digestOf('abc'), 10)).toString()).toBe('abc')
  })

  it('go on after the disk was full', async () => {
    const { steps, fail } = watched()
    content = await open(steps)
    const partial = await content.startPartial()
    fail.write = 'ENOSPC'
    await expect(partial.append(from('ab'), { maxBytes: 10 })).rejects.toMatchObject({ code: 'disk_full' })
    delete fail.write
    await partial.append(from('ab'), { maxBytes: 10 })
    await partial.finish(digestOf('ab'))
  })

  it('are gone after the wrong digest, and after cancel', async () => {
    const wrong = await content.startPartial()
    await wrong.append(from('ab'), { maxBytes: 10 })
    await expect(wrong.finish(digestOf('else'))).rejects.toMatchObject({ code: 'digest_mismatch' })
    const cancelled = await content.startPartial()
    await cancelled.cancel()
    expect(ingesting()).toEqual([])
    expect(stored()).toEqual([])
  })
})

describe('the folder', () => {
  it('loses at start what was unfinished, and nothing else', async () => {
    const { digest } = await content.ingest(from('x'))
    mkdirSync(join(path, 'scratch/deep/er'), { recursive: true })
    writeFileSync(join(path, 'ingest/left'), 'x')
    content = await open()
    expect(ingesting()).toEqual([])
    expect(readdirSync(content.scratch)).toEqual([])
    expect(await content.verify(digest)).toBe(true)
  })

  it('has an id that stays, whoever asks first', async () => {
    const fresh = join(tempDir('id'), 'a/b')
    const ids = await Promise.all(Array.from({ length: 5 }, () => contentId(fresh)))
    expect(new Set(ids).size).toBe(1)
    expect(await contentId(fresh)).toBe(ids[0])
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(readdirSync(fresh)).toEqual(['id'])
  })

  it('says when it cannot be made', async () => {
    writeFileSync(join(path, 'file'), '')
    await expect(createFolderContent({ path: join(path, 'file/x'), logger: silentLogger })).rejects.toMatchObject({
      name: 'StorageError',
    })
    expect(existsSync(join(path, 'file/x'))).toBe(false)
  })
})
