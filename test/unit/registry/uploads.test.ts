import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Uploads } from '../../../src/registry/types.ts'
import { waitFor } from '../../support/wait.ts'
import { from, openRegistry, type Opened } from './open.ts'

let opened: Opened
let uploads: Uploads

beforeEach(async () => {
  opened = await openRegistry(undefined, { limits: { maxUploads: 3, uploadIdleMs: 60_000 } })
  uploads = opened.registry.uploads
})

afterEach(() => opened.close())

const append = (id: string, text: string, offset?: number) =>
  uploads.append('r', id, from(text), { maxBytes: 100, ...(offset !== undefined && { offset }) })
const files = () => readdirSync(join(opened.folder, 'ingest')).length

it('grow chunk by chunk and become a blob of their repository', async () => {
  const id = await uploads.start('r')
  expect(id).toMatch(/^[0-9a-f]{8}-/)
  expect(await uploads.status('r', id)).toBe(0)
  expect(await append(id, 'hel', 0)).toEqual({ size: 3, outOfOrder: false })
  expect(await append(id, 'lo', 3)).toEqual({ size: 5, outOfOrder: false })
  expect(await append(id, '!')).toEqual({ size: 6, outOfOrder: false })
  expect(await uploads.finish('r', id, digestOf('hello!'))).toEqual({ digest: digestOf('hello!'), size: 6 })
  expect(await opened.registry.repository('r').statBlob(digestOf('hello!'))).toEqual({ size: 6 })
  expect(await uploads.status('r', id)).toBeUndefined()
  expect(files()).toBe(0)
})

it.each([0, 2, 4])('say where they stand when a chunk does not follow: %i', async (offset) => {
  const id = await uploads.start('r')
  await append(id, 'hel')
  expect(await append(id, 'xx', offset)).toEqual({ size: 3, outOfOrder: true })
  await append(id, 'lo', 3)
  await uploads.finish('r', id, digestOf('hello'))
})

it('take one chunk at a time', async () => {
  const id = await uploads.start('r')
  const { promise, resolve } = Promise.withResolvers<undefined>()
  async function* slow() {
    yield Buffer.from('he')
    await promise
    yield Buffer.from('llo')
  }
  const first = uploads.append('r', id, slow(), { maxBytes: 100 })
  expect(await append(id, 'xx')).toMatchObject({ outOfOrder: true })
  await expect(uploads.finish('r', id, digestOf('hello'))).rejects.toMatchObject({ code: 'conflict' })
  // However long it takes: it is not idle.
  await opened.clock.advance(600_000)
  resolve(undefined)
  expect(await first).toEqual({ size: 5, outOfOrder: false })
  await uploads.finish('r', id, digestOf('hello'))
})

it('keep what they had when a chunk fails', async () => {
  const id = await uploads.start('r')
  await append(id, 'hel')
  async function* broken() {
    yield Buffer.from('xx')
    await Promise.reject(new Error('the line broke'))
  }
  await expect(uploads.append('r', id, broken(), { maxBytes: 100 })).rejects.toThrow('the line broke')
  expect(await uploads.status('r', id)).toBe(3)
  await append(id, 'lo', 3)
  await uploads.finish('r', id, digestOf('hello'))
})

it('are gone after the wrong digest', async () => {
  const id = await uploads.start('r')
  await append(id, 'x')
  await expect(uploads.finish('r', id, digestOf('y'))).rejects.toMatchObject({ code: 'digest_mismatch' })
  expect(await uploads.status('r', id)).toBeUndefined()
  expect(await opened.registry.repository('r').statBlob(digestOf('y'))).toBeUndefined()
  expect(files()).toBe(0)
})

it('are known only to their repository', async () => {
  const id = await uploads.start('r')
  expect(await uploads.status('other', id)).toBeUndefined()
  expect(await uploads.append('other', id, from('x'), { maxBytes: 9 })).toBeUndefined()
  expect(await uploads.finish('other', id, digestOf(''))).toBeUndefined()
  expect(await uploads.cancel('other', id)).toBe(false)
  expect(await uploads.status('r', 'none')).toBeUndefined()
  expect(await uploads.cancel('r', id)).toBe(true)
  expect(await uploads.cancel('r', id)).toBe(false)
  expect(files()).toBe(0)
})

it('that are cancelled end a chunk that is under way, even a silent one', async () => {
  const id = await uploads.start('r')
  async function* silent(): AsyncIterable<Uint8Array> {
    yield Buffer.from('x')
    await new Promise(() => undefined)
  }
  const chunk = uploads.append('r', id, silent(), { maxBytes: 100 })
  const ended = expect(chunk).rejects.toMatchObject({ code: 'conflict' })
  await new Promise((resolve) => setImmediate(resolve))
  await uploads.cancel('r', id)
  await ended
  expect(files()).toBe(0)
})

it('end a chunk at the caller’s signal and go on', async () => {
  const id = await uploads.start('r')
  const stop = new AbortController()
  async function* silent(): AsyncIterable<Uint8Array> {
    yield Buffer.from('x')
    stop.abort(new Error('gone away'))
    await new Promise(() => undefined)
  }
  const { signal } = stop
  await expect(uploads.append('r', id, silent(), { maxBytes: 100, signal })).rejects.toThrow('gone away')
  expect(await uploads.status('r', id)).toBe(0)
})

describe('bounds', () => {
  it('are refused beyond the ceiling, also when many come at once', async () => {
    const started = await Promise.allSettled(Array.from({ length: 5 }, () => uploads.start('r')))
    const refused = started.filter((one) => one.status === 'rejected').map(({ reason }) => reason as unknown)
    expect(refused).toHaveLength(2)
    expect(refused[0]).toMatchObject({ name: 'RemoteError', code: 'busy', retryable: true })
    const [first] = started.filter((one) => one.status === 'fulfilled')
    await uploads.cancel('r', first!.value)
    await uploads.start('r')
  })

  it('expire when nobody touches them', async () => {
    const [idle, used] = [await uploads.start('r'), await uploads.start('r')]
    await opened.clock.advance(40_000)
    expect(await uploads.status('r', used)).toBe(0)
    await opened.clock.advance(19_999)
    await append(used, 'x')
    await opened.clock.advance(1)
    expect(await uploads.status('r', idle)).toBeUndefined()
    expect(await uploads.status('r', used)).toBe(1)
    await opened.clock.advance(180_000)
    expect(await uploads.status('r', used)).toBeUndefined()
    await opened.clock.advance(180_000)
    await waitFor('their files to go', () => files() === 0)
    await uploads.start('r')
    expect(files()).toBe(1)
  })
})
