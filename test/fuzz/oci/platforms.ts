import fc from 'fast-check'
import { ConfigError } from '../../../src/lib/errors.ts'
import { parseManifest, selectPlatform } from '../../../src/oci/manifest.ts'
import { ociIndex } from '../../../src/oci/media.ts'
import { parsePlatform } from '../../../src/oci/platform.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'
import { descriptors, digest } from './manifests.ts'

export const platformProperties = [
  property(
    'platforms',
    hostileText(fc.constantFrom('linux/amd64', 'linux/arm/v7', 'Linux/x86_64', 'windows/arm64/v8'), [
      '/',
      'linux',
      'aarch64',
      'constructor',
      '__proto__',
    ]),
    (text) => {
      const platform = outcome(() => parsePlatform(text), ConfigError)
      if (platform === undefined) return
      const { os, architecture, variant } = platform
      ok(
        typeof os === 'string' &&
          typeof architecture === 'string' &&
          os !== '' &&
          architecture !== '' &&
          variant !== '',
      )
      same(parsePlatform([os, architecture, ...(variant === undefined ? [] : [variant])].join('/')), platform)
    },
  ),
  property(
    'members for a platform',
    fc.tuple(
      fc.array(descriptors, { maxLength: 5 }),
      fc.constantFrom(
        'linux/amd64',
        'linux/arm64',
        'linux/arm64/v8',
        'linux/arm/v7',
        'linux/x86_64',
        'linux/arm/v6',
        'windows/amd64',
      ),
    ),
    ([list, wanted]) => {
      const index = parseManifest({
        mediaType: ociIndex,
        digest,
        bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: list })),
      })
      if (index.kind !== 'index') return
      const found = selectPlatform(index, wanted)
      if (found === undefined) return
      ok(index.manifests.includes(found) && found.platform?.os !== 'unknown')
      const named = found.platform !== undefined && (found.platform.os !== '' || found.platform.architecture !== '')
      if (named) same(parsePlatform(wanted).os, found.platform?.os)
      else
        same(
          index.manifests.filter((one) => one.platform?.os !== 'unknown' || one.platform.architecture !== 'unknown')
            .length,
          1,
        )
    },
  ),
]
