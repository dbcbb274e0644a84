import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempDir } from '../../support/temp.ts'
import { openInProcess } from './open.ts'

const frameBytes = 24 + 4096
const offsetOf = (frame: number) => 32 + frame * frameBytes

type State = Awaited<ReturnType<typeof openInProcess>>

/** What a `kill -9` leaves of a state in which this was done. */
async function killed(work: (state: State) => Promise<void> | void) {
  const path = tempDir('state')
  const state = await openInProcess(path)
  await work(state)
  const left = tempDir('killed')
  for (const name of ['state.db', 'state.db-wal']) copyFileSync(join(path, name), join(left, name))
  await state.close()
  const log = join(left, 'state.db-wal')
  const bytes = readFileSync(log)
  const frames: { isCommit: boolean }[] = []
  for (let at = 32; bytes.subarray(at + 8, at + 16).equals(bytes.subarray(16, 24)); at += frameBytes)
    frames.push({ isCommit: bytes.readUInt32BE(at + 4) !== 0 })
  return {
    path: left,
    log,
    commits: frames.flatMap(({ isCommit }, at) => (isCommit ? [at] : [])),
    garble: (at: number, length = 1) => {
      const bytes = readFileSync(log)
      for (let index = at; index < at + length; index++) bytes[index]! ^= 0x55
      writeFileSync(log, bytes)
    },
  }
}

const setTo = async (state: State, count: number) => {
  for (let at = 1; at <= count; at++) await state.facts.set('k', `${at}`)
}

async function valueIn(path: string): Promise<string | undefined> {
  const state = await openInProcess(path)
  const value = await state.facts.get('k')
  await state.close()
  return value
}

describe('a log that was not closed', () => {
  it('is replayed whole', async () => {
    const { path } = await killed((state) => setTo(state, 20))
    expect(await valueIn(path)).toBe('20')
  })

  it.each([
    ['a page', frameBytes - 1],
    ['the number of a page', 1],
    ['whether it ends a change', 7],
    ['its round', 9],
    ['its sums', 17],
  ])('is refused, and left as it is, where %s was changed before what was acknowledged', async (_what, within) => {
    const { path, log, commits, garble } = await killed((state) => setTo(state, 20))
    garble(offsetOf(commits.at(-8)!) + within)
    const before = readFileSync(log)
    for (let times = 0; times < 2; times++) {
      await expect(openInProcess(path)).rejects.toMatchObject({
        name: 'StorageError',
        code: 'corrupt',
        message: expect.stringMatching(
          /state\.db-wal is damaged before at least \d changes that were acknowledged$/,
        ) as string,
        hint: expect.stringMatching(/Restore a backup .*--rebuild-state/) as string,
      })
    }
    expect(readFileSync(log).equals(before)).toBe(true)
  })

  it('is refused where a whole stretch of it was lost', async () => {
    const { path, commits, garble } = await killed((state) => setTo(state, 20))
    garble(offsetOf(commits[3]!), offsetOf(commits[7]!) - offsetOf(commits[3]!))
    await expect(openInProcess(path)).rejects.toMatchObject({ code: 'corrupt' })
  })

  it('is replayed up to a last change of which a loss of power left any part', async () => {
    const many = (state: State) => {
      state.store.raw.exec('begin')
      for (let at = 0; at < 30; at++) {
        state.store.raw.exec(`insert into facts (key, value) values ('many ${at}', '${'x'.repeat(4000)}')`)
      }
      state.store.raw.exec(`update facts set value = 'last' where key = 'k'`)
      state.store.raw.exec('commit')
    }
    const { path, log, commits } = await killed(async (state) => {
      await setTo(state, 20)
      many(state)
    })
    const [first, last] = [commits.at(-2)! + 1, commits.at(-1)!]
    expect(last - first).toBeGreaterThan(20)
    const whole = readFileSync(log)
    const database = readFileSync(join(path, 'state.db'))
    for (let frame = first; frame <= last; frame++) {
      for (const [from, to] of [
        [frame, frame + 1],
        [frame, last + 1],
        [first, frame + 1],
      ] as const) {
        const torn = Buffer.from(whole)
        torn.fill(0, offsetOf(from) + 512, offsetOf(to))
        writeFileSync(log, torn)
        writeFileSync(join(path, 'state.db'), database)
        expect(await valueIn(path)).toBe('20')
      }
    }
  })

  it('is replayed though what was taken back stands behind its end', async () => {
    const { path, commits, log } = await killed(async (state) => {
      await setTo(state, 20)
      const { raw } = state.store
      // So that it writes before it commits.
      raw.exec('pragma cache_size = 1')
      raw.exec('begin')
      for (let at = 0; at < 200; at++)
        raw.exec(`insert into facts (key, value) values ('${at}', '${'x'.repeat(4000)}')`)
      raw.exec('rollback')
      await state.facts.set('k', 'after')
    })
    // There is something behind it.
    const bytes = readFileSync(log)
    const behind = offsetOf(commits.at(-1)! + 1)
    expect(bytes.subarray(behind + 8, behind + 16).equals(bytes.subarray(16, 24))).toBe(true)
    expect(await valueIn(path)).toBe('after')
  })

  it('is replayed though an older round stands behind its end', async () => {
    const { path } = await killed(async (state) => {
      await setTo(state, 20)
      state.store.raw.exec('pragma wal_checkpoint')
      await state.facts.set('k', 'after')
    })
    expect(await valueIn(path)).toBe('after')
  })
})
