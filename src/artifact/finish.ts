import { IntegrityError } from '../lib/errors.ts'
import { BundleReader, isRead, type BundleFacts } from '../opa/bundle.ts'
import { completeManifest } from '../opa/manifest.ts'
import { contentRevision } from '../opa/revision.ts'
import { refuseEmpty } from './check.ts'
import { packTarGz, type Packed } from './pack.ts'
import type { Spool } from './spool.ts'
import type { FileTree } from './tree.ts'

/** What a caller wants in `.manifest`, whatever was there. */
export interface ManifestChanges {
  revision?: string
  roots?: string[]
}

/**
 * Sees to it that the tree is a bundle that OPA loads and that its `.manifest` carries a revision: OPA reports no digest,
 * only that, so without one nobody can tell what runs where. A signed manifest is left as it is.
 */
export async function completeBundle(
  tree: FileTree,
  spool: Spool,
  changes: ManifestChanges = {},
): Promise<BundleFacts> {
  const before = await readFacts(tree, spool)
  refuseEmpty(before)
  if (before.signed && Object.keys(changes).length > 0) {
    throw new IntegrityError('bad_bundle', 'the bundle is signed: another revision or other roots would break that', {
      hint: 'Set them before you sign.',
    })
  }
  const file = before.manifestFile ?? '.manifest'
  const isProtobuf = file.endsWith('.pb')
  if (before.signed || isProtobuf) return before
  const set = {
    ...changes,
    ...(changes.revision === undefined && before.manifest.revision === null && { revision: revisionOf(tree) }),
  }
  if (Object.keys(set).length === 0) return before
  await replaceManifest(tree, spool, file, set)
  return readFacts(tree, spool)
}

/** Packs the tree; `executable` files stay so only outside of OPA bundles, where it means something. */
export async function packTree(tree: FileTree, spool: Spool, path: string, keepModes: boolean): Promise<Packed> {
  const files = [...tree.files()].map(([name, file]) => ({
    path: name,
    size: file.size,
    executable: keepModes && file.executable,
    open: () => spool.read(file),
  }))
  return packTarGz(files, path)
}

async function readFacts(tree: FileTree, spool: Spool): Promise<BundleFacts> {
  const reader = new BundleReader()
  for (const [path, file] of tree.files()) {
    const bytes = isRead(path) ? await spool.bytes(file) : undefined
    reader.add({ path, name: path, size: file.size, ...(bytes && { bytes }) })
  }
  return reader.finish()
}

function revisionOf(tree: FileTree): string {
  return contentRevision([...tree.files()].map(([path, { digest }]) => ({ path, digest })))
}

async function replaceManifest(tree: FileTree, spool: Spool, path: string, set: object): Promise<void> {
  const known = tree.get(path)
  const bytes = completeManifest(known && (await spool.bytes(known)), path, { ...set })
  const slice = await spool.add([bytes])
  tree.set(path, { ...slice, executable: false, from: known?.from ?? 'longshore' })
}
