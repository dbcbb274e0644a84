import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../../src/lib/errors.ts'
import { createLogger } from '../../../../src/lib/logger.ts'
import { Redactor } from '../../../../src/lib/redact.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { named } from '../../../../src/server/api/schemas.ts'
import { PassThrough } from 'node:stream'
import { adminToken, ask, startServer } from '../support.ts'

const post = (sent?: object) => ({ method: 'POST', body: sent === undefined ? '' : JSON.stringify(sent) })
const json = { 'Content-Type': 'application/json' }

describe('POST /api/v1/backup', () => {
  it('copies into a folder of the server, for admins', async () => {
    const { url } = await startServer()
    const answer = await ask(`${url}/api/v1/backup`, json, post({ to: '/backup/monday' }))
    expect(named.BackedUp.parse(JSON.parse(answer.body))).toMatchObject({ path: '/backup/monday' })
    expect((await ask(`${url}/api/v1/backup`, json, post())).status).toBe(400)
    const access = { anonymous: [{ action: 'deploy' as const, pattern: null }], tokens: [], users: [] }
    const guarded = await startServer({ guard: { access } })
    expect((await ask(`${guarded.url}/api/v1/backup`, json, post({ to: '/x' }))).status).toBe(401)
  })
})

describe('/api/v1/verify-content', () => {
  it('verifies, for admins, and leaves an audit line', async () => {
    const stream = new PassThrough()
    const logger = createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream })
    const digest = digestOf('x')
    const verify = async () => ({
      ...{ blobs: 2, bytes: 3, found: 1, lookingAt: ['authz'] },
      findings: [{ digest, kind: 'damaged' as const, message: 'taken away' }],
    })
    const { url } = await startServer({ logger, control: { verify } })
    const answer = await ask(`${url}/api/v1/verify-content`, json, post())
    expect(named.Verified.parse(JSON.parse(answer.body))).toEqual(await verify())
    const lines = String(stream.read()).split('\n')
    const line = lines.find((text) => text.includes('"action":"verify-content"'))!
    expect(JSON.parse(line)).toMatchObject({ audit: true, who: 'loopback', found: 1, lookingAt: ['authz'] })
    const access = { anonymous: [{ action: 'deploy' as const, pattern: null }], tokens: [], users: [] }
    const guarded = await startServer({ guard: { access } })
    for (const method of ['GET', 'POST']) {
      expect((await ask(`${guarded.url}/api/v1/verify-content`, json, { method })).status).toBe(401)
    }
  })

  it('says how far it is', async () => {
    let seen: { blobs: number; bytes: number } | null = null
    const { url } = await startServer({ control: { verifying: () => seen } })
    const asked = async () => named.Verifying.parse(JSON.parse((await ask(`${url}/api/v1/verify-content`, json)).body))
    expect(await asked()).toEqual({ running: false, blobs: 0, bytes: 0 })
    seen = { blobs: 4, bytes: 5 }
    expect(await asked()).toEqual({ running: true, blobs: 4, bytes: 5 })
  })

  it('breaks off when nobody waits', async () => {
    const asked = Promise.withResolvers<AbortSignal>()
    const verify = ({ signal }: { signal?: AbortSignal }) => {
      asked.resolve(signal!)
      return new Promise<never>((_, reject) => signal!.addEventListener('abort', () => reject(new Error('aborted'))))
    }
    const { url } = await startServer({ control: { verify } })
    const gone = new AbortController()
    const unanswered = ask(`${url}/api/v1/verify-content`, json, { ...post(), signal: gone.signal })
    const signal = await asked.promise
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
    gone.abort()
    await expect(unanswered).rejects.toThrow()
    await aborted
  })
})

describe('POST /api/v1/gc', () => {
  it('collects, or says what would go', async () => {
    const { url } = await startServer()
    const answer = await ask(`${url}/api/v1/gc`, json, post())
    expect(answer.status).toBe(200)
    expect(named.Collected.parse(JSON.parse(answer.body))).toMatchObject({ dryRun: false, files: 3 })
    const dry = await ask(`${url}/api/v1/gc`, json, post({ dryRun: true }))
    expect(JSON.parse(dry.body)).toMatchObject({ dryRun: true })
  })

  it('takes nothing that it does not know', async () => {
    const { url } = await startServer()
    for (const sent of [{ dry: true }, { dryRun: 'yes' }, []]) {
      expect((await ask(`${url}/api/v1/gc`, json, post(sent))).status).toBe(400)
    }
  })

  it('is for admins', async () => {
    const access = { anonymous: [{ action: 'deploy' as const, pattern: null }], tokens: [], users: [] }
    const { url } = await startServer({ guard: { access } })
    expect((await ask(`${url}/api/v1/gc`, json, post())).status).toBe(401)
    const headers = { ...json, Authorization: `Bearer ${adminToken}` }
    expect((await ask(`${url}/api/v1/gc`, headers, post())).status).toBe(200)
  })

  it('says why it failed, and breaks off when nobody waits', async () => {
    let signal: AbortSignal | undefined
    const asked = Promise.withResolvers<void>()
    const { url } = await startServer({
      control: {
        collect: async (options) => {
          if (options.dryRun) throw new StorageError('read_only', 'the folder cannot be written', { hint: 'mount it' })
          signal = options.signal
          asked.resolve()
          return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(new Error('aborted'))))
        },
      },
    })
    const answer = await ask(`${url}/api/v1/gc`, json, post({ dryRun: true }))
    expect(answer.status).toBe(500)
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'read_only', hint: 'mount it' })
    const gone = new AbortController()
    const unanswered = ask(`${url}/api/v1/gc`, json, { ...post(), signal: gone.signal })
    await asked.promise
    const aborted = new Promise((resolve) => signal!.addEventListener('abort', resolve))
    gone.abort()
    await expect(unanswered).rejects.toThrow()
    await aborted
  })

  it('leaves an audit line', async () => {
    const stream = new PassThrough()
    const logger = createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream })
    const { url } = await startServer({ logger })
    await ask(`${url}/api/v1/gc`, json, post())
    const lines = String(stream.read()).split('\n')
    const line = lines.find((text) => text.includes('"action":"gc"'))!
    expect(JSON.parse(line)).toMatchObject({ audit: true, who: 'loopback', dryRun: false, files: 3, bytes: 4 })
  })
})
