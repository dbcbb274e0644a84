import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../../src/lib/metrics.ts'
import { createBundleTable } from '../../../../src/server/bundles/table.ts'
import { FakeClock } from '../../../support/clock.ts'
import { releaseOf } from '../support.ts'

function createTable(maxMemoryBytes: number, names: string[]) {
  const metrics = createMetrics(new FakeClock(Date.UTC(2026, 0, 2)))
  const table = createBundleTable({ metrics, maxMemoryBytes })
  table.configure(names.map((name) => ({ name, aliases: [], pull: true })))
  const activate = (name: string, size: number) => {
    const bytes = Buffer.alloc(size, name)
    table.activate({ release: releaseOf(name, bytes), bytes })
  }
  const inMemory = () => names.filter((name) => table.get(name)?.served?.body !== undefined)
  return { table, metrics, activate, inMemory }
}

describe('the table of bundles', () => {
  it('holds no more in memory than it may: the bundle activated longest ago goes to disk', async () => {
    const { table, metrics, activate, inMemory } = createTable(100, ['a', 'b', 'c'])
    activate('a', 40)
    activate('b', 40)
    expect(inMemory()).toEqual(['a', 'b'])
    activate('c', 40)
    expect(inMemory()).toEqual(['b', 'c'])
    expect(table.memoryBytes).toBe(80)
    expect(await metrics.text()).toContain('longshore_bundle_memory_bytes 80\n')
    expect(table.get('a')?.served?.headers.full).toContain('40')
  })

  it('leaves one that is too large by itself on disk, and the others in memory', () => {
    const { activate, inMemory } = createTable(100, ['a', 'b'])
    activate('a', 40)
    activate('b', 101)
    expect(inMemory()).toEqual(['a'])
  })

  it('frees what is replaced or leaves the config', () => {
    const { table, activate } = createTable(100, ['a', 'b'])
    activate('a', 90)
    activate('a', 95)
    expect(table.memoryBytes).toBe(95)
    table.configure([{ name: 'b', aliases: [], pull: true }])
    expect(table.memoryBytes).toBe(0)
    expect(table.get('a')).toBeUndefined()
    activate('a', 10)
    expect(table.get('a')).toBeUndefined()
  })

  it('keeps what is served when the config is taken up again', () => {
    const { table, activate } = createTable(100, ['a'])
    activate('a', 10)
    const before = table.get('a')
    const changed: string[] = []
    table.onChange((name) => changed.push(name))
    table.configure([{ name: 'a', aliases: ['/x'], pull: true }])
    expect(table.get('a')).toBe(before)
    expect(changed).toEqual([])
    expect(table.at('/x')?.name).toBe('a')
    table.configure([{ name: 'a', aliases: [], pull: true }])
    expect(table.at('/x')).toBeUndefined()
  })

  it('holds nothing of what is only watched', () => {
    const { table, activate } = createTable(100, ['a'])
    table.configure([{ name: 'a', aliases: [], pull: false }])
    activate('a', 10)
    expect(table.get('a')).toMatchObject({ pull: false, release: { bundle: 'a' }, served: undefined })
    expect(table.memoryBytes).toBe(0)
  })

  it('finds a bundle by its paths, those of one that came later with just that name first', () => {
    const { table } = createTable(100, ['a'])
    const at = (path: string) => table.at(path)?.name
    for (const path of ['/bundles/a', '/v1/bundles/a', '/bundles/a.tar.gz', '/bundles/%61']) expect(at(path)).toBe('a')
    for (const path of ['/bundles/b', '/bundles/', '/a', `/bundles/a@sha256:${'0'.repeat(64)}`])
      expect(at(path)).toBeUndefined()
    table.configure(['a', 'a.tar.gz'].map((name) => ({ name, aliases: [], pull: true })))
    expect(at('/bundles/a.tar.gz')).toBe('a.tar.gz')
    table.configure([{ name: 'b', aliases: ['/bundles/a'], pull: true }])
    expect(at('/bundles/a')).toBe('b')
    expect(at('/v1/bundles/a')).toBeUndefined()
  })

  it('knows what a bundle was before, and forgets what is a thousand releases old', () => {
    const { table } = createTable(100, ['a'])
    const digests = Array.from({ length: 1_001 }, (_, index) => releaseOf('a', Buffer.from(`${index}`)).bundleDigest!)
    table.remember('a', digests)
    expect(table.isKnown('a', `"${digests[0]}"`)).toBe(false)
    expect(table.isKnown('a', `"${digests[1]}"`)).toBe(true)
    expect(table.isKnown('b', `"${digests[1]}"`)).toBe(false)
  })

  it('knows what a bundle is, and what it was before it was replaced, withdrawn or switched', () => {
    const { table } = createTable(100, ['a'])
    const bytes = ['first', 'second', 'third'].map((text) => Buffer.from(text))
    const etags = bytes.map((one) => `"${releaseOf('a', one).bundleDigest}"`)
    const known = () => etags.map((etag) => table.isKnown('a', etag))
    const activate = (at: number) => table.activate({ release: releaseOf('a', bytes[at]!), bytes: bytes[at] })
    activate(0)
    expect(known()).toEqual([true, false, false])
    activate(1)
    expect(known()).toEqual([true, true, false])
    table.withdraw('a')
    expect(known()).toEqual([true, true, false])
    activate(2)
    table.configure([{ name: 'a', aliases: [], pull: false }])
    expect(table.get('a')?.served).toBeUndefined()
    expect(known()).toEqual([true, true, true])
    table.configure([])
    expect(known()).toEqual([false, false, false])
  })

  it('makes what a release is answered with once', () => {
    const { table, activate } = createTable(100, ['a'])
    activate('a', 10)
    const { headers, etag } = table.get('a')!.served!
    expect(table.get('a')!.served!.headers).toBe(headers)
    expect(headers.same).toContain(etag)
  })

  it('tells the age of what is current', async () => {
    const { activate, metrics } = createTable(100, ['a'])
    activate('a', 1)
    expect(await metrics.text()).toContain('longshore_release_age_seconds{bundle="a"} 86400\n')
  })
})
