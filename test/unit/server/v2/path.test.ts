import { describe, expect, it } from 'vitest'
import { parsePath } from '../../../../src/server/v2/path.ts'
import type { Refusal } from '../../../../src/server/v2/refusal.ts'

const digest = `sha256:${'a'.repeat(64)}`

function codeOf(path: string): string | undefined {
  try {
    parsePath(path)
    return undefined
  } catch (error) {
    return (error as Refusal).entries[0]?.code
  }
}

describe('parsing the path of a registry request', () => {
  it.each(['/v2/a/tags/other', '/v2/a/b/list', '/v2/a/b/uploads/1', '/v2/a/blobs/b/1', '/v2/a/b', '/v1/a/tags/list'])(
    'takes no half of an endpoint for one: %s',
    (path) => {
      expect(parsePath(path)).toBeUndefined()
    },
  )

  it.each([
    ['/v2', 'base', '', ''],
    ['/v2/', 'base', '', ''],
    ['/v2/_catalog', 'catalog', '', ''],
    ['/v2/a/tags/list', 'tags', 'a', ''],
    ['/v2/a/b/manifests/v1', 'manifest', 'a/b', 'v1'],
    [`/v2/a/blobs/${digest}`, 'blob', 'a', digest],
    [`/v2/a/blobs/${digest.replace(':', '%3A')}`, 'blob', 'a', digest],
    ['/v2/a/blobs/uploads', 'uploads', 'a', ''],
    ['/v2/a/blobs/uploads/', 'uploads', 'a', ''],
    ['/v2/a/blobs/uploads/123', 'upload', 'a', '123'],
    [`/v2/a/referrers/${digest}`, 'referrers', 'a', digest],
  ])('%s is an endpoint', (path, kind, repository, reference) => {
    expect(parsePath(path)).toEqual({ kind, repository, reference })
  })

  it.each([
    ['/v2/tags/list/tags/list', 'tags', 'tags/list'],
    ['/v2/a/manifests/manifests/v1', 'manifest', 'a/manifests'],
    ['/v2/blobs/blobs/uploads/', 'uploads', 'blobs'],
    ['/v2/blobs/uploads/manifests/v1', 'manifest', 'blobs/uploads'],
  ])('%s has words of endpoints in its name', (path, kind, repository) => {
    expect(parsePath(path)).toMatchObject({ kind, repository })
  })

  it.each(['/', '/v1/a/tags/list', '/v2a', '/v2/a', '/v2/a/tags', '/v2//', '/v2/a/b/c', '/V2/'])(
    '%s is no endpoint',
    (path) => {
      expect(parsePath(path)).toBeUndefined()
    },
  )

  it.each([
    '/v2/manifests/v1',
    '/v2//manifests/v1',
    '/v2/a//b/manifests/v1',
    '/v2//a/manifests/v1',
    '/v2/a/../b/manifests/v1',
    '/v2/../manifests/v1',
    '/v2/a%2Fb/manifests/v1',
    '/v2/a/%2e%2e/b/manifests/v1',
    '/v2/a/%2E/manifests/v1',
    '/v2/a%00/manifests/v1',
    '/v2/a%/manifests/v1',
    '/v2/A/manifests/v1',
    '/v2/a b/manifests/v1',
    `/v2/${'a'.repeat(256)}/manifests/v1`,
    `/v2/${'a/'.repeat(200)}manifests/v1`,
  ])('%s has no valid name', (path) => {
    expect(codeOf(path)).toBe('NAME_INVALID')
  })

  it('takes a name of 255 characters', () => {
    expect(parsePath(`/v2/${'a'.repeat(255)}/manifests/v1`)).toMatchObject({ kind: 'manifest' })
  })
})
