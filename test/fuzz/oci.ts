import { referenceProperties } from './oci/references.ts'
import { challengeProperties } from './oci/challenges.ts'
import { rangeProperties } from './oci/ranges.ts'
import { retryAfterProperties } from './oci/retry-after.ts'
import { listProperties } from './oci/lists.ts'
import { manifestProperties } from './oci/manifests.ts'
import { jsonProperties } from './oci/json.ts'
import { platformProperties } from './oci/platforms.ts'
import { credentialProperties } from './oci/credentials.ts'
import { errorProperties } from './oci/errors.ts'
import { versionProperties } from './oci/versions.ts'
import type { Group } from './property.ts'

export const oci: Group = {
  files: [
    'src/oci/reference.ts',
    'src/oci/challenge.ts',
    'src/oci/digest.ts',
    'src/oci/json.ts',
    'src/oci/manifest.ts',
    'src/oci/media.ts',
    'src/oci/platform.ts',
    'src/oci/scope.ts',
    'src/oci/tag.ts',
    'src/oci/errors.ts',
    'src/oci/link.ts',
    'src/oci/range.ts',
    'src/oci/retry-after.ts',
    'src/lib/json.ts',
    'src/oci/credentials.ts',
    'src/cli/layout-reference.ts',
    'src/lib/version.ts',
  ],
  properties: [
    ...referenceProperties,
    ...challengeProperties,
    ...retryAfterProperties,
    ...rangeProperties,
    ...listProperties,
    ...manifestProperties,
    ...jsonProperties,
    ...platformProperties,
    ...credentialProperties,
    ...errorProperties,
    ...versionProperties,
  ],
}
