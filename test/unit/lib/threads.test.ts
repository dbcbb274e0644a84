import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { ConfigError, IntegrityError, RemoteError, StorageError } from '../../../src/lib/errors.ts'
import { createThreads, type Threads } from '../../../src/lib/threads.ts'
import { tempDir } from '../../support/temp.ts'

const lib = new URL('../../../src/lib/', import.meta.url)
const file = join(tempDir('threads'), 'program.ts')
writeFileSync(
  file,
  `
import { threadId } from 'node:worker_threads'
import { portable } from '${new URL('threads.ts', lib).href}'
import { ConfigError, IntegrityError, RemoteError, StorageError } from '${new URL('errors.ts', lib).href}'
const errors = {
  config: () => new ConfigError('bad', { code: 'usage', hint: 'mend it', problems: [{ message: 'here', line: 3 }] }),
  integrity: () => new IntegrityError('bad_bundle', 'bad', { file: 'a/b', hint: 'mend it', cause: () => 1 }),
  remote: () => new RemoteError('timeout', 'late', { host: 'h', status: 504, retryable: true }),
  storage: () => new StorageError('disk_full', 'full'),
  other: () => Object.assign(new TypeError('bug'), { code: 'E_BUG' }),
}
export const fail = portable(async (kind) => { throw errors[kind]() })
export const double = portable(async (value) => value * 2)
export const thread = portable(async () => threadId)
export const hang = portable(async () => { for (;;); })
export const hog = portable(async () => { globalThis.all = []; for (;;) globalThis.all.push(JSON.parse('[' + '{},'.repeat(1e5) + '{}]')) })
`,
)

const opened: Threads[] = []
const open = (threads = 1): Threads => {
  const made = createThreads({ program: pathToFileURL(file), threads, maxHeapBytes: 64 * 1024 ** 2 })
  opened.push(made)
  return made
}

afterAll(() => Promise.all(opened.map((threads) => threads.close())))

const failure = (threads: Threads, kind: string): Promise<unknown> =>
  threads.run('fail', kind).catch((error: unknown) => error)

describe('threads', () => {
  it('run a function of the program', async () => {
    const threads = open()
    expect(await threads.run('double', 21)).toBe(42)
    expect(await threads.run('thread', null)).toBeGreaterThan(0)
  })

  it('give errors back as what they were', async () => {
    const threads = open()
    const config = await failure(threads, 'config')
    expect(config).toBeInstanceOf(ConfigError)
    expect(config).toMatchObject({
      code: 'usage',
      message: 'bad',
      hint: 'mend it',
      problems: [{ message: 'here', line: 3 }],
    })
    const integrity = await failure(threads, 'integrity')
    expect(integrity).toBeInstanceOf(IntegrityError)
    expect(integrity).toMatchObject({ code: 'bad_bundle', file: 'a/b', hint: 'mend it' })
    const remote = await failure(threads, 'remote')
    expect(remote).toBeInstanceOf(RemoteError)
    expect(remote).toMatchObject({ code: 'timeout', host: 'h', status: 504, retryable: true })
    expect(await failure(threads, 'storage')).toBeInstanceOf(StorageError)
    expect(await failure(threads, 'other')).toMatchObject({ message: 'bug', code: 'E_BUG' })
  })

  it('end where they are when they are aborted, and others take their place', async () => {
    const threads = open()
    const controller = new AbortController()
    const hanging = threads.run('hang', null, controller.signal)
    const waiting = threads.run('double', 1)
    setTimeout(() => controller.abort(new Error('enough')), 50)
    await expect(hanging).rejects.toThrow('enough')
    expect(await waiting).toBe(2)
  })

  it('do not start what is aborted already', async () => {
    await expect(open().run('hang', null, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })

  it('that need too much memory end alone', async () => {
    const threads = open()
    await expect(threads.run('hog', null)).rejects.toThrow(IntegrityError)
    expect(await threads.run('double', 4)).toBe(8)
  })

  it('closing ends what is under way', async () => {
    const threads = open()
    const hanging = threads.run('hang', null)
    const ended = expect(hanging).rejects.toThrow()
    await threads.close()
    await ended
  })
})
