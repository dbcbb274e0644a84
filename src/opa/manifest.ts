import { IntegrityError } from '../lib/errors.ts'
import { asGoReads, isObject, parseExactJson, parseJson, stringifyExact, type JsonObject } from './json.ts'
import { normalizeRoots } from './roots.ts'

/** https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format */
export interface OpaManifest {
  /** OPA's label of the bundle; null where it is missing or empty. */
  revision: string | null
  /** Without slashes around; `['']`, everything, where the manifest names none. */
  roots: string[]
  wasm: WasmModule[]
  regoVersion: RegoVersion | null
  /** Pattern of paths → version. */
  fileRegoVersions: Record<string, RegoVersion>
  metadata: JsonObject | null
}

export type RegoVersion = 0 | 1 | 2

export interface WasmModule {
  entrypoint: string
  module: string
}

/** What OPA takes for granted without a `.manifest`. */
export function defaultManifest(): OpaManifest {
  return { revision: null, roots: [''], wasm: [], regoVersion: null, fileRegoVersions: {}, metadata: null }
}

/** Throws IntegrityError `bad_bundle` on what OPA refuses: other types, unknown versions, roots that overlap. */
export function parseOpaManifest(bytes: Uint8Array, file: string): OpaManifest {
  const json = parseJson(bytes, file)
  if (!isObject(json)) throw bad(file, 'is not a JSON object')
  const { revision, roots, wasm, rego_version, file_rego_versions, metadata } = asGoReads(json, names)
  if (!isAbsent(revision) && typeof revision !== 'string') throw bad(file, 'has a "revision" that is not a string')
  if (!isAbsent(metadata) && !isObject(metadata)) throw bad(file, 'has "metadata" that is not an object')
  return {
    revision: isAbsent(revision) || revision === '' ? null : revision,
    roots: isAbsent(roots) ? [''] : normalizeRoots(stringsOf(roots, file), file),
    wasm: isAbsent(wasm) ? [] : wasmOf(wasm, file),
    regoVersion: isAbsent(rego_version) ? null : versionOf(rego_version, file, '"rego_version"'),
    fileRegoVersions: isAbsent(file_rego_versions) ? {} : versionsOf(file_rego_versions, file),
    metadata: isAbsent(metadata) ? null : metadata,
  }
}

/** The manifest's own bytes, or new ones in which `set` replaces what was there and all else stays. */
export function completeManifest(bytes: Uint8Array | undefined, file: string, set: Partial<JsonObject>): Buffer {
  const json = bytes === undefined ? {} : parseExactJson(bytes, file)
  if (!isObject(json)) throw bad(file, 'is not a JSON object')
  return Buffer.from(`${stringifyExact({ ...asGoReads(json, Object.keys(set)), ...set })}\n`)
}

/**
 * What must change in a manifest when files that were named `/a` are packed as `a`: OPA writes a leading slash, in the
 * archive's names as in `wasm` and `file_rego_versions`, and compares them as text. Empty when nothing must.
 */
export function withoutLeadingSlashes(bytes: Uint8Array, file: string): JsonObject {
  const json = parseExactJson(bytes, file)
  const { wasm, file_rego_versions: versions } = isObject(json) ? asGoReads(json, names) : {}
  const slashed = (name: unknown): name is string => typeof name === 'string' && name.startsWith('/')
  const changes: JsonObject = {}
  const modules: unknown[] = Array.isArray(wasm) ? wasm.map(moduleOf) : []
  if (modules.some((entry) => isObject(entry) && slashed(entry.module))) {
    changes.wasm = modules.map((entry) =>
      isObject(entry) && slashed(entry.module) ? { ...entry, module: entry.module.replace(/^\/+/, '') } : entry,
    )
  }
  if (isObject(versions) && Object.keys(versions).some(slashed)) {
    const entries = Object.entries(versions)
    changes.file_rego_versions = Object.fromEntries(entries.map(([name, value]) => [name.replace(/^\/+/, ''), value]))
  }
  return changes
}

const names = ['revision', 'roots', 'wasm', 'rego_version', 'file_rego_versions', 'metadata']

function moduleOf(entry: unknown): unknown {
  return isObject(entry) ? asGoReads(entry, ['entrypoint', 'module', 'annotations']) : entry
}

function stringsOf(value: unknown, file: string): string[] {
  if (Array.isArray(value) && value.every((root) => typeof root === 'string')) return value
  throw bad(file, 'has "roots" that are not a list of strings')
}

function wasmOf(value: unknown, file: string): WasmModule[] {
  if (!Array.isArray(value)) throw bad(file, 'has "wasm" that is not a list')
  return value.map(moduleOf).map((entry) => {
    const { entrypoint = '', module = '' } = isObject(entry) ? entry : { entrypoint: null }
    if (typeof entrypoint === 'string' && typeof module === 'string') return { entrypoint, module }
    throw bad(file, 'has a "wasm" entry without the strings "entrypoint" and "module"')
  })
}

function versionsOf(value: unknown, file: string): Record<string, RegoVersion> {
  if (!isObject(value)) throw bad(file, 'has "file_rego_versions" that are not an object')
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([pattern, version]) => [pattern, versionOf(version, file, pattern)]))
}

function versionOf(value: unknown, file: string, what: string): RegoVersion {
  if (value === 0 || value === 1 || value === 2) return value
  throw bad(file, `has an unknown Rego version for ${what}: ${JSON.stringify(value)}; known are 0, 1 and 2`)
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function bad(file: string, why: string): IntegrityError {
  return new IntegrityError('bad_bundle', `${file} ${why}`, { file })
}
