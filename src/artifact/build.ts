import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { ConfigError, IntegrityError } from '../lib/errors.ts'
import type { BundleFacts } from '../opa/bundle.ts'
import { loadWithOpa } from '../opa/program.ts'
import { addFiles, findFiles, isHidden, matchesAny } from './collect.ts'
import { completeBundle, packTree, type ManifestChanges } from './finish.ts'
import { defaultLimits } from './limits.ts'
import type { Packed } from './pack.ts'
import { Spool } from './spool.ts'
import { FileTree } from './tree.ts'
import type { ArchiveLimits } from './types.ts'

export interface BuildOptions {
  /** Folders whose contents become the bundle, each from its own top. */
  dirs: string[]
  /** The archive's file; replaced in one step, or not at all. */
  output: string
  /** Instead of the one in `.manifest`, or of one made from the content. */
  revision?: string
  /** Instead of those in `.manifest`. */
  roots?: string[]
  /** Patterns of files and folders to leave out. */
  ignore?: string[]
  /** An `opa` program that checks Rego too. */
  opaPath?: string
  limits?: ArchiveLimits
  signal?: AbortSignal
}

export interface Built {
  packed: Packed
  facts: BundleFacts
  /** For a person: files that OPA will not load, links that were left out. */
  warnings: string[]
}

/**
 * Makes an OPA bundle of folders: the same bytes for the same files, whenever and wherever. Hidden files that OPA does
 * not know are left out. Throws IntegrityError for what OPA would refuse, and for a file that two folders hold; ConfigError for
 * folders that are not there.
 */
export async function buildBundle(options: BuildOptions): Promise<Built> {
  const { dirs, output, ignore = [], opaPath, limits = defaultLimits, signal } = options
  const aside = `${output}.${randomUUID()}`
  const spool = await createSpool(aside, output, limits)
  try {
    const tree = new FileTree()
    const skipped: string[] = []
    for (const dir of dirs) {
      const found = await findFiles(dir, (path) => isHidden(path) || matchesAny(path, ignore))
      await addFiles(tree, spool, found.files, { from: dir, prefix: '', limits, signal })
      skipped.push(...found.skipped.map((path) => `${dir}: ${path} is no regular file, it is left out`))
    }
    const facts = await completeBundle(tree, spool, changesOf(options))
    const packed = await packTree(tree, spool, aside, { keepModes: false, signal })
    if (opaPath !== undefined) await loadWithOpa(opaPath, aside, signal)
    await rename(aside, output)
    const ignored = facts.ignored.map((path) => `${path} is in the bundle, but OPA does not load it`)
    return { packed: { ...packed, path: output }, facts, warnings: [...skipped, ...ignored] }
  } catch (error) {
    await rm(aside, { force: true })
    throw withFolders(error, dirs)
  } finally {
    spool.close()
  }
}

async function createSpool(aside: string, output: string, { maxUnpackedBytes }: ArchiveLimits): Promise<Spool> {
  try {
    return Spool.create(`${aside}.spool`, maxUnpackedBytes)
  } catch (error) {
    const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new ConfigError(`cannot write ${output}: its folder is not there`, { cause: error })
    throw error
  }
}

function changesOf({ revision, roots }: BuildOptions): ManifestChanges {
  return { ...(revision !== undefined && { revision }), ...(roots !== undefined && { roots }) }
}

function withFolders(error: unknown, dirs: string[]): unknown {
  if (!(error instanceof IntegrityError)) return error
  const { code, message, file, hint } = error
  return new IntegrityError(code, `cannot build a bundle of ${dirs.join(', ')}: ${message}`, {
    cause: error,
    ...(file !== undefined && { file }),
    ...(hint !== undefined && { hint }),
  })
}
