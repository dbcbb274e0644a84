import { describe, expect, it } from 'vitest'
import { createdOf } from '../../../src/oci/created.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { ociConfig, ociManifest } from '../../../src/oci/media.ts'
import { blobOf, MemoryRepository } from '../../support/repository.ts'

describe('when an image was made', () => {
  it.each([
    ['a time', '{"created":"2024-06-01T12:00:00.5Z"}', Date.UTC(2024, 5, 1, 12, 0, 0, 500)],
    ['another zone', '{"created":"2024-06-01T12:00:00+02:00"}', Date.UTC(2024, 5, 1, 10)],
    ['the beginning of time, as reproducible builds have it', '{"created":"1970-01-01T00:00:00Z"}', 0],
    ['what Go writes where nobody told it', '{"created":"0001-01-01T00:00:00Z"}', undefined],
    ['no time', '{"created":"yesterday"}', undefined],
    ['nothing', '{}', undefined],
    ['a number', '{"created":7}', undefined],
    ['no JSON', 'x', undefined],
  ])('by its config: %s', async (_what, config, at) => {
    const repository = new MemoryRepository('test')
    const descriptor = blobOf(config, ociConfig)
    await repository.putBlob(descriptor, async function* () {
      yield Buffer.from(config)
    })
    const json = { schemaVersion: 2, mediaType: ociManifest, config: descriptor, layers: [] }
    const bytes = Buffer.from(JSON.stringify(json))
    await repository.putManifest({ mediaType: ociManifest, digest: digestOf(bytes), bytes }, ['v1'])
    expect(await createdOf(repository, 'v1', { platform: 'linux/amd64' })).toBe(at)
  })
})
