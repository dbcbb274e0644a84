import { IntegrityError } from '../lib/errors.ts'
import { checkDataRoots, mergeDocuments, parseData, type DataDocument } from './data.ts'
import { dataPathOf, roleOf, type FileRole } from './files.ts'
import { isObject, parseJson } from './json.ts'
import { defaultManifest, parseOpaManifest, type OpaManifest } from './manifest.ts'
import { packageOf, showPackage } from './rego.ts'
import { isUnderRoots, showRoots } from './roots.ts'
import { parseSignatures } from './signatures.ts'

/** A file of a bundle as it comes by. */
export interface BundleInput {
  path: string
  /** As the archive writes it, perhaps with a leading slash: the manifest names wasm modules so. */
  name: string
  /** Bytes. */
  size: number
  /** The content, for files that `isRead` says are looked into. */
  bytes?: Buffer
}

/** What a sound bundle is. */
export interface BundleFacts {
  files: { path: string; size: number }[]
  /** Files that OPA does not load. */
  ignored: string[]
  /** As after the word `package`, sorted, each once. */
  packages: string[]
  manifest: OpaManifest
  /** Path of the `.manifest`, null without one. */
  manifestFile: string | null
  signed: boolean
}

const lookedInto = new Set<FileRole>(['rego', 'json', 'yaml', 'manifest', 'signatures', 'patch'])

/** Whether the content of such a file counts, and not only that it is there. */
export function isRead(path: string): boolean {
  const role = roleOf(path)
  return role !== undefined && lookedInto.has(role)
}

/**
 * Takes a bundle's files one by one and says whether OPA would load them together. Rego is not compiled: only its
 * package line is read. `add` and `finish` throw IntegrityError `bad_bundle` with the file at fault.
 */
export class BundleReader {
  readonly #files: { path: string; size: number }[] = []
  readonly #ignored: string[] = []
  readonly #modules: { file: string; path: string[] }[] = []
  readonly #documents: DataDocument[] = []
  readonly #wasm = new Set<string>()
  #manifest: { file: string; manifest: OpaManifest | undefined } | undefined
  #signatures: string | undefined

  add({ path, name, size, bytes = Buffer.alloc(0) }: BundleInput): void {
    this.#files.push({ path, size })
    const role = roleOf(path)
    if (role === undefined) this.#ignored.push(path)
    if (role === 'rego') this.#modules.push({ file: path, path: readPackage(bytes, path) })
    if (role === 'json' || role === 'yaml') {
      this.#documents.push({ file: path, path: dataPathOf(path), value: parseData(bytes, path) })
    }
    if (role === 'wasm') this.#wasm.add(name)
    if (role === 'patch') refuseDelta(bytes, path)
    if (role === 'signatures') this.#setSignatures(bytes, path)
    if (role === 'manifest') this.#setManifest(path, parseOpaManifest(bytes, path))
    if (role === 'protobuf-manifest') this.#setManifest(path, undefined)
  }

  finish(): BundleFacts {
    const manifest = this.#manifest?.manifest ?? defaultManifest()
    const manifestFile = this.#manifest?.file ?? null
    this.#checkModules(manifest)
    this.#checkWasm(manifest, manifestFile ?? '.manifest')
    checkDataRoots(mergeDocuments(this.#documents), manifest.roots, this.#documents)
    return {
      files: this.#files,
      ignored: this.#ignored,
      packages: [...new Set(this.#modules.map(({ path }) => showPackage(path)))].sort(),
      manifest,
      manifestFile,
      signed: this.#signatures !== undefined,
    }
  }

  /** Any file that ends in `.manifest` is one to OPA: before 1.22 the last one won, since then two are refused. */
  #setManifest(file: string, manifest: OpaManifest | undefined): void {
    if (this.#manifest !== undefined) {
      throw bad(file, `is a second manifest, next to ${this.#manifest.file}`)
    }
    this.#manifest = { file, manifest }
  }

  #setSignatures(bytes: Buffer, file: string): void {
    if (this.#signatures !== undefined) throw bad(file, `is a second signatures file, next to ${this.#signatures}`)
    parseSignatures(bytes, file)
    this.#signatures = file
  }

  #checkModules({ roots }: OpaManifest): void {
    for (const { file, path } of this.#modules) {
      if (isUnderRoots(roots, path)) continue
      throw bad(file, `is of package ${showPackage(path)}, which the roots ${showRoots(roots)} do not cover`)
    }
  }

  #checkWasm({ roots, wasm }: OpaManifest, file: string): void {
    const entrypoints = new Set<string>()
    for (const { entrypoint, module } of wasm) {
      if (!this.#wasm.has(module))
        throw bad(file, `names the wasm module ${JSON.stringify(module)}, which is not there`)
      if (!isUnderRoots(roots, entrypoint.split('/'))) {
        throw bad(file, `has the entrypoint ${entrypoint}, which the roots ${showRoots(roots)} do not cover`)
      }
      if (entrypoints.has(entrypoint)) throw bad(file, `gives the entrypoint ${entrypoint} to two wasm modules`)
      entrypoints.add(entrypoint)
    }
  }
}

function readPackage(bytes: Buffer, file: string): string[] {
  let source: string
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new IntegrityError('bad_bundle', `${file} is not UTF-8`, { file, cause: error })
  }
  const path = packageOf(source)
  if (path === undefined) throw bad(file, 'does not begin with a package')
  return path
}

/** A delta applies to one state of one client: as a release, it would be refused by every OPA that starts. */
function refuseDelta(bytes: Buffer, file: string): void {
  const json = parseJson(bytes, file)
  if (isObject(json) && Array.isArray(json.data) && json.data.length > 0) {
    throw bad(file, 'makes this a delta bundle, which cannot be served by itself')
  }
}

function bad(file: string, why: string): IntegrityError {
  return new IntegrityError('bad_bundle', `${file} ${why}`, { file })
}
