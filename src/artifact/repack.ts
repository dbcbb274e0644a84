import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BundleFacts } from '../opa/bundle.ts'
import { mergeDocuments, parseData } from '../opa/data.ts'
import { stringifyExact } from '../opa/json.ts'
import { compareBytes } from './names.ts'
import type { BundleKind } from '../model/release.ts'
import { completeBundle, packTree } from './finish.ts'
import { addArchive, addFile, applyLayer, type LayerOptions } from './layers.ts'
import type { Packed } from './pack.ts'
import { Spool } from './spool.ts'
import { FileTree } from './tree.ts'
import type { ArchiveLimits } from './types.ts'

/** A part of the plan with its blob as a local file; cloneable, so that it can go to another thread. */
export type RepackPart = { file: string; label: string } & (
  | { type: 'layer' }
  | { type: 'archive'; within: string }
  | { type: 'file'; path: string }
  | { type: 'document'; path: string; folder: string }
)

export interface RepackTask {
  kind: BundleKind
  parts: RepackPart[]
  limits: ArchiveLimits
  scratch: string
  /** Where the archive is written. */
  out: string
}

/** Makes one archive of the parts. Throws IntegrityError; then nothing is left behind. */
export async function repack(task: RepackTask): Promise<{ packed: Packed; facts: BundleFacts | null }> {
  const { kind, limits, scratch, out } = task
  const spool = Spool.create(join(scratch, randomUUID()), limits.maxUnpackedBytes)
  try {
    const tree = new FileTree()
    const leadingSlash = kind === 'opa' ? 'allow' : 'refuse'
    for (const part of task.parts) await addPart(tree, spool, part, { limits, leadingSlash })
    await addDocuments(tree, spool, task.parts)
    const facts = kind === 'opa' ? await completeBundle(tree, spool) : null
    return { packed: await packTree(tree, spool, out, { keepModes: kind !== 'opa' }), facts }
  } finally {
    spool.close()
  }
}

async function addPart(tree: FileTree, spool: Spool, part: RepackPart, options: LayerOptions): Promise<void> {
  if (part.type === 'layer') await applyLayer(tree, spool, part, options)
  if (part.type === 'archive') await addArchive(tree, spool, part, options)
  if (part.type === 'file') await addFile(tree, spool, part)
}

/** One data file for each folder: a single document keeps its bytes, several are merged as OPA would merge them. */
async function addDocuments(tree: FileTree, spool: Spool, parts: RepackPart[]): Promise<void> {
  const documents = parts.filter((part) => part.type === 'document')
  const byFolder = Map.groupBy(documents, ({ folder }) => folder)
  for (const [folder, group] of [...byFolder].sort(([a], [b]) => compareBytes(a, b))) {
    const [only, ...others] = group
    const isYaml = others.length === 0 && /\.ya?ml$/.test(only!.path)
    const bytes = others.length === 0 ? await readFile(only!.file) : await mergeFiles(group)
    const name = isYaml ? 'data.yaml' : 'data.json'
    const slice = await spool.add([bytes])
    const from = group.map(({ label }) => label).join(' and ')
    tree.add(folder === '' ? name : `${folder}/${name}`, { ...slice, executable: false, from })
  }
}

async function mergeFiles(group: { file: string; path: string }[]): Promise<Buffer> {
  const documents = []
  for (const { file, path } of group) {
    documents.push({ file: path, path: [], value: parseData(await readFile(file), path, { exact: true }) })
  }
  return Buffer.from(stringifyExact(mergeDocuments(documents)))
}
