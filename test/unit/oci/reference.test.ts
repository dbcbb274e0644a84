import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  formatReference,
  isLoopbackHost,
  isRepositoryName,
  isTag,
  parseReference,
  wireHost,
} from '../../../src/oci/reference.ts'

const digest = digestOf('x')

describe('parseReference', () => {
  it.each([
    ['alpine', { host: 'docker.io', repository: 'library/alpine', tag: 'latest' }],
    ['alpine:3.20', { host: 'docker.io', repository: 'library/alpine', tag: '3.20' }],
    ['acme/app', { host: 'docker.io', repository: 'acme/app', tag: 'latest' }],
    ['index.docker.io/acme/app', { host: 'docker.io', repository: 'acme/app', tag: 'latest' }],
    ['registry-1.docker.io/app', { host: 'docker.io', repository: 'library/app', tag: 'latest' }],
    ['localhost/app', { host: 'localhost', repository: 'app', tag: 'latest' }],
    ['localhost:5000/app', { host: 'localhost:5000', repository: 'app', tag: 'latest' }],
    ['localhost:5000', { host: 'docker.io', repository: 'library/localhost', tag: '5000' }],
    ['[::1]:5000/a/b:c', { host: '[::1]:5000', repository: 'a/b', tag: 'c' }],
    ['GHCR.io/acme/app', { host: 'ghcr.io', repository: 'acme/app', tag: 'latest' }],
    ['Upper:443/app', { host: 'upper:443', repository: 'app', tag: 'latest' }],
    ['ghcr.io/a__b/c.d-e--f', { host: 'ghcr.io', repository: 'a__b/c.d-e--f', tag: 'latest' }],
    [`ghcr.io/acme/app@${digest}`, { host: 'ghcr.io', repository: 'acme/app', digest }],
    [`ghcr.io/acme/app:1@${digest}`, { host: 'ghcr.io', repository: 'acme/app', tag: '1', digest }],
  ])('reads %s', (text, reference) => {
    expect(parseReference(text)).toEqual(reference)
  })

  it.each([
    '',
    ':tag',
    'app:',
    'app:.tag',
    `app:${'x'.repeat(129)}`,
    'https://ghcr.io/acme/app',
    'docker://app',
    'ghcr.io/Acme/app',
    'Upper/app',
    'ghcr.io/acme//app',
    'ghcr.io/acme/../etc',
    'ghcr.io/',
    'ghcr.io:0/app',
    'ghcr.io:99999/app',
    'ghcr.io/a___b',
    'ghcr.io/acme/app@sha256:00',
    'ghcr.io/acme/app@md5:d41d8cd98f00b204e9800998ecf8427e',
    `ghcr.io/${'a'.repeat(255)}`,
    'a'.repeat(0) + digest.slice(7),
    '-ghcr.io/app',
    'gh cr.io/app',
    'app?x=1',
    'ghcr.io/app#1',
  ])('refuses %j as a mistake of the user, with a hint', (text) => {
    const fail = expect.objectContaining({
      name: 'ConfigError',
      code: 'bad_reference',
      hint: expect.any(String) as string,
    }) as Error
    expect(() => parseReference(text)).toThrow(fail)
  })

  it('reads what it wrote, whatever it is', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}$/)
    const host = fc.constantFrom(
      'ghcr.io',
      'localhost',
      'localhost:5000',
      '[::1]:5000',
      'docker.io',
      'a.b-c.example:443',
    )
    const repository = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
    const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/), { nil: undefined })
    fc.assert(
      fc.property(host, repository, tag, fc.boolean(), (aHost, aRepository, aTag, hasDigest) => {
        const text = `${aHost}/${aRepository}${aTag === undefined ? '' : `:${aTag}`}${hasDigest ? `@${digest}` : ''}`
        const reference = parseReference(text)
        expect(parseReference(formatReference(reference))).toEqual(reference)
        expect(isRepositoryName(reference.repository)).toBe(true)
        expect(reference.tag ?? reference.digest).toBeDefined()
      }),
    )
  })

  it('never lets through what could change a URL, and answers in time', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (text) => {
        let reference
        try {
          reference = parseReference(text)
        } catch (error) {
          expect(error).toMatchObject({ name: 'ConfigError' })
          return
        }
        expect(reference.repository).toMatch(/^[a-z0-9._/-]+$/)
        expect(reference.repository).not.toContain('..')
        expect(reference.host).toMatch(/^[a-z0-9.:[\]-]+$/)
      }),
    )
    const before = process.cpuUsage()
    expect(() => parseReference(`ghcr.io/${'a-'.repeat(50_000)}`)).toThrow()
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })
})

describe('hosts', () => {
  it('connects to where Docker Hub is', () => {
    expect(wireHost('docker.io')).toBe('registry-1.docker.io')
    expect(wireHost('ghcr.io')).toBe('ghcr.io')
  })

  it('knows this machine by every name', () => {
    for (const host of [
      'localhost',
      'LOCALHOST:5000',
      'a.localhost',
      '127.0.0.1',
      '127.9.9.9:80',
      '[::1]:5000',
      '[::0:1]:5000',
      '[0:0:0:0:0:0:0:1]',
      '::1',
      '[::ffff:7f00:1]',
    ]) {
      expect([host, isLoopbackHost(host)]).toEqual([host, true])
    }
    for (const host of [
      '127.0.0.1.evil.com',
      '127.evil.com',
      'localhost.evil.com',
      'mylocalhost',
      '128.0.0.1',
      '[::2]',
      '[::ffff:808:808]',
    ]) {
      expect([host, isLoopbackHost(host)]).toEqual([host, false])
    }
  })
})

describe('isTag', () => {
  it('follows the grammar of the specification', () => {
    expect(['v1.2.3', '_x', 'A-b_c.d', 'x'.repeat(128)].every(isTag)).toBe(true)
    expect(['', '-x', '.x', 'a/b', 'a:b', 'x'.repeat(129), 'a\n'].some(isTag)).toBe(false)
  })
})
