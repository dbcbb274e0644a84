import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { ociManifest } from '../../../src/oci/media.ts'
import type { ReleaseDraft, State } from '../../../src/state/state.ts'
import type { ManifestRow, Reference } from '../../../src/state/state.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createSqliteState } from '../../../src/state/sqlite/client.ts'
import { tempDir } from '../../support/temp.ts'

export function openState(path = tempDir('state'), contentId = 'content-1'): Promise<State> {
  return createSqliteState({ path, contentId, logger: silentLogger })
}

export function manifestRow(name: string, more: Partial<ManifestRow> = {}): ManifestRow {
  const row = { mediaType: ociManifest, size: name.length, artifactType: null, subject: null, annotations: null }
  return { digest: digestOf(name), ...row, ...more }
}

export function blobReference(digest: Digest, required = true): Reference {
  return { digest, kind: 'blob', required }
}

export function draft(name: string, more: Partial<ReleaseDraft> = {}): ReleaseDraft {
  return {
    bundle: 'authz',
    bundleDigest: digestOf(`layer of ${name}`),
    size: 10,
    manifestDigest: digestOf(name),
    sourceDigest: digestOf(name),
    form: 'original',
    version: name,
    revision: null,
    reason: 'changed',
    ...more,
  }
}
