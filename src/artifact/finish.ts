import { IntegrityError } from '../lib/errors.ts'
import { BundleReader, isRead, type BundleFacts } from '../opa/bundle.ts'
import { roleOf } from '../opa/files.ts'
import { completeManifest, withoutLeadingSlashes } from '../opa/manifest.ts'
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
 * only that, so without one nobody can tell what runs where. A signed manifest is left as it is, or refused where it
 * would have to change. Throws IntegrityError.
 */
export async function completeBundle(
  tree: FileTree,
  spool: Spool,
  changes: ManifestChanges = {},
): Promise<BundleFacts> {
  const manifestFile = findManifest(tree)
  await setInManifest(tree, spool, manifestFile, await relocation(tree, spool, manifestFile))
  const facts = await readFacts(tree, spool)
  refuseEmpty(facts)
  const set = {
    ...changes,
    ...(facts.manifest.revision === null && changes.revision === undefined && canChange(tree, manifestFile)
      ? { revision: revisionOf(tree) }
      : {}),
  }
  if (Object.keys(set).length === 0) return facts
  await setInManifest(tree, spool, manifestFile, set)
  return readFacts(tree, spool)
}

/** Packs the tree; executable files stay so only where that means something, outside of OPA bundles. */
export async function packTree(
  tree: FileTree,
  spool: Spool,
  path: string,
  options: { keepModes: boolean; signal?: AbortSignal | undefined },
): Promise<Packed> {
  const files = [...tree.files()].map(([name, file]) => ({
    path: name,
    size: file.size,
    executable: options.keepModes && file.executable,
    open: () => spool.read(file),
  }))
  return packTarGz(files, path, options.signal)
}

/** Path of the file that OPA takes for the manifest; a second one is refused by whoever reads the bundle. */
function findManifest(tree: FileTree): string {
  for (const [path] of tree.files()) {
    if (['manifest', 'protobuf-manifest'].includes(roleOf(path) ?? '')) return path
  }
  return '.manifest'
}

function canChange(tree: FileTree, manifestFile: string): boolean {
  return !manifestFile.endsWith('.pb') && ![...tree.files()].some(([path]) => roleOf(path) === 'signatures')
}

async function relocation(tree: FileTree, spool: Spool, manifestFile: string): Promise<Record<string, unknown>> {
  const known = tree.get(manifestFile)
  if (known === undefined || manifestFile.endsWith('.pb')) return {}
  return withoutLeadingSlashes(spool.bytes(known), manifestFile)
}

async function setInManifest(tree: FileTree, spool: Spool, path: string, set: object): Promise<void> {
  if (Object.keys(set).length === 0) return
  if (!canChange(tree, path)) {
    const why = path.endsWith('.pb') ? 'its manifest is in protobuf' : 'it is signed, which that would break'
    throw new IntegrityError(
      'bad_bundle',
      `${Object.keys(set).join(' and ')} of the bundle would have to change, but ${why}`,
      {
        file: path,
        hint: 'Set revision and roots before you sign.',
      },
    )
  }
  const known = tree.get(path)
  const bytes = completeManifest(known && spool.bytes(known), path, { ...set })
  const slice = await spool.add([bytes])
  tree.set(path, { ...slice, executable: false, from: known?.from ?? 'longshore' })
}

async function readFacts(tree: FileTree, spool: Spool): Promise<BundleFacts> {
  const reader = new BundleReader()
  for (const [path, file] of tree.files()) {
    const bytes = isRead(path) ? spool.bytes(file) : undefined
    reader.add({ path, name: path, size: file.size, ...(bytes && { bytes }) })
  }
  return reader.finish()
}

function revisionOf(tree: FileTree): string {
  return contentRevision([...tree.files()].map(([path, { digest }]) => ({ path, digest })))
}
