import type { Check } from './check.ts'
import { discoveryChecks } from './discovery.ts'
import { managementChecks } from './management.ts'
import { pullChecks } from './pull.ts'
import { pushBlobChecks } from './push-blobs.ts'
import { pushManifestChecks } from './push-manifests.ts'

/** The four workflows of https://github.com/opencontainers/distribution-spec, sentence by sentence: see `docs/conformance.md`. */
export const distributionChecks: readonly Check[] = [
  ...pullChecks,
  ...pushBlobChecks,
  ...pushManifestChecks,
  ...discoveryChecks,
  ...managementChecks,
]
