import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { isTag } from '../../../src/oci/reference.ts'
import { tagOf } from '../../../src/oci/tag.ts'

describe('tagOf', () => {
  it.each([
    ['v1.4.2', 'v1.4.2'],
    ['feature/new thing', 'feature-new-thing'],
    ['1.0.0+build.5', '1.0.0-build.5'],
    ['-rc', '_-rc'],
    ['', '_'],
    // The whole digest would be the name under which older registries keep referrers.
    [`sha256:${'a'.repeat(64)}`, 'sha256-aaaaaaaaaaaa'],
  ])('%s → %s', (version, tag) => {
    expect(tagOf(version)).toBe(tag)
  })

  it('always gives a tag, the same for what is one already', () => {
    fc.assert(
      fc.property(fc.string(), (version) => {
        const tag = tagOf(version)
        return isTag(tag) && tagOf(tag) === tag
      }),
    )
  })
})
