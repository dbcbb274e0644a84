import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { ociManifest } from '../../../src/oci/media.ts'
import type { ReleaseDraft, State } from '../../../src/state/state.ts'
import type { ManifestRow, Reference } from '../../../src/state/state.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { nameOperations } from '../../../src/state/operations/named.ts'
import { rememberCatalog } from '../../../src/state/remembered.ts'
import { createSqliteState } from '../../../src/state/sqlite/client.ts'
import { commitGroup } from '../../../src/state/sqlite/group.ts'
import { openSnapshot } from '../../../src/state/sqlite/snapshot.ts'
import { openStore, type Store } from '../../../src/state/sqlite/store.ts'
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

/** The same operations on the same database, without the thread: no tenth of a second to start one. */
export async function openInProcess(path = tempDir('state')): Promise<State & { store: Store }> {
  const store = await openStore({ path, contentId: 'content-1' })
  const operations = nameOperations()
  // One after the other, as the thread does.
  let last: Promise<unknown> = Promise.resolve()
  const call = (name: string, args: unknown[]) =>
    new Promise((done, failed) => {
      const work = { run: () => operations.get(name)!.run(store.kysely, args), done, failed }
      last = last.then(() => commitGroup(store, [work]))
    })
  const parts: Record<string, Record<string, unknown>> = {}
  for (const name of operations.keys()) {
    const [group, method] = name.split('.') as [string, string]
    parts[group] = { ...parts[group], [method]: (...args: unknown[]) => call(name, args) }
  }
  return {
    ...rememberCatalog(parts as unknown as State),
    store,
    lease: { check: () => Promise.resolve(), lost: new Promise(() => undefined) },
    async snapshot(file) {
      await store.snapshot(file)
      return openSnapshot(file)
    },
    close: async () => {
      store.close()
    },
  }
}
