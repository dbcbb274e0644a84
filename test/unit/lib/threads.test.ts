import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { ConfigError, IntegrityError, RemoteError, StorageError } from '../../../src/lib/errors.ts'
import { createThreads, type Threads } from '../../../src/lib/threads.ts'
import { startTaskThread } from '../../../src/lib/start-thread.ts'
import { tempDir } from '../../support/temp.ts'

const lib = new URL('../../../src/lib/', import.meta.url)
const file = join(tempDir('threads'), 'program.ts')
writeFileSync(
  file,
  `
import { threadId } from 'node:worker_threads'
import { serveTasks } from '${new URL('threads.ts', lib).href}'
import { ConfigError, IntegrityError, RemoteError, StorageError } from '${new URL('errors.ts', lib).href}'
const errors = {
  config: () => new ConfigError('bad', { code: 'usage', hint: 'mend it', problems: [{ message: 'here', line: 3 }] }),
  integrity: () => new IntegrityError('bad_bundle', 'bad', { file: 'a/b', hint: 'mend it', cause: () => 1 }),
  remote: () => new RemoteError('timeout', 'late', { host: 'h', status: 504, retryable: true }),
  storage: () => new StorageError('disk_full', 'full'),
  other: () => Object.assign(new TypeError('bug'), { code: 'E_BUG' }),
}
serveTasks({
  fail: async (kind) => { throw errors[kind]() },
  double: async (value) => value * 2,
  thread: async () => threadId,
  hang: async () => { for (;;); },
  exit: async () => process.exit(3),
  hog: async () => { globalThis.all = []; for (;;) globalThis.all.push(JSON.parse('[' + '{},'.repeat(1e5) + '{}]')) },
})
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

  it('are used again, and no more of them started than allowed', async () => {
    const threads = open(2)
    const ids = await Promise.all(Array.from({ length: 20 }, () => threads.run('thread', null)))
    expect(new Set(ids).size).toBeLessThanOrEqual(2)
  })

  it('begin with the one that was started before', async () => {
    const program = { program: pathToFileURL(file), maxHeapBytes: 64 * 1024 ** 2 }
    const started = startTaskThread(program)
    const threads = createThreads({ ...program, threads: 1, started })
    opened.push(threads)
    expect(await threads.run('thread', null)).toBe(started.threadId)
    expect(await threads.run('thread', null)).toBe(started.threadId)
    await expect(threads.run('exit', null)).rejects.toThrow('ended with 3')
    expect(await threads.run('double', 4)).toBe(8)
  })

  it('that end by themselves fail their task alone', async () => {
    const threads = open()
    const failed = expect(threads.run('exit', null)).rejects.toThrow('ended with 3')
    const waiting = threads.run('double', 1)
    await failed
    expect(await waiting).toBe(2)
  })

  it('say so when they do not know a function', async () => {
    await expect(open().run('nothing', null)).rejects.toThrow('does not serve nothing')
  })

  it('closing ends what is under way, and what waits', async () => {
    const threads = open()
    const tasks = [threads.run('hang', null), threads.run('double', 1)]
    const ended = Promise.all(tasks.map((task) => expect(task).rejects.toThrow('closed')))
    await threads.close()
    await ended
    await expect(threads.run('double', 1)).rejects.toThrow('closed')
  })
})
