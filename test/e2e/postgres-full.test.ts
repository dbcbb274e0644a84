import { execFileSync } from 'node:child_process'
import { chownSync, statSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { needs } from '../support/components.ts'
import { openPostgresState, startPostgres, type PostgresServer } from '../support/postgres.ts'
import { tempDir } from '../support/temp.ts'

// A database on a real disk of 48 MiB that runs full. Who may start a Postgres as another user may mount.
needs('postgresql')('a Postgres whose disk is full', () => {
  let server: PostgresServer
  const disk = tempDir('small-disk')

  beforeAll(async () => {
    server = await startPostgres()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk])
    chownSync(disk, statSync(server.folder).uid, 0)
  })

  afterAll(async () => {
    await server.stop()
    execFileSync('umount', ['--lazy', disk])
  })

  it('says so, keeps what it has, and goes on once there is room', async () => {
    const url = await server.createDatabase()
    const name = url.slice(url.lastIndexOf('/') + 1)
    await server.query('postgres', `create tablespace small location '${disk}'`)
    await server.query('postgres', `alter database ${name} set tablespace small`)
    const state = await openPostgresState(url)
    await state.facts.set('before', 'kept')
    // What does not compress.
    const fill = () =>
      server.query(url, 'create table filler as select gen_random_uuid() from generate_series(1, 5000000)')
    await expect(fill()).rejects.toThrow(/No space left/)
    await server.query(url, 'create table filler (id uuid)')
    let error: unknown
    while (error === undefined) {
      await server
        .query(url, 'insert into filler select gen_random_uuid() from generate_series(1, 20000)')
        .catch((reason: unknown) => (error = reason))
    }
    const write = (at: number) =>
      state.facts.set(`k${at}`, Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('hex'))
    const outcomes = await Promise.allSettled(Array.from({ length: 60 }, (_, at) => write(at)))
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown)
    expect(refused.length).toBeGreaterThan(0)
    for (const reason of refused) {
      expect(reason).toMatchObject({
        name: 'StorageError',
        code: 'disk_full',
        hint: expect.stringMatching(/Free space/) as string,
      })
    }
    expect(await state.facts.get('before')).toBe('kept')
    // What was answered is there.
    for (const [at, { status }] of outcomes.entries()) {
      expect((await state.facts.get(`k${at}`)) !== undefined).toBe(status === 'fulfilled')
    }
    await server.query(url, 'drop table filler')
    await write(99)
    await state.lease.check()
    await state.close()
  })
})
