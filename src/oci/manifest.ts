import { IntegrityError } from '../lib/errors.ts'
import { parseDigest, type Digest } from './digest.ts'
import { foldName, isObject, parseJsonObject, type JsonObject } from './json.ts'
import { isImageManifest, isIndex, isSchema1 } from './media.ts'
import type { Descriptor, Platform, RawManifest } from './target.ts'

export { selectPlatform } from './platform.ts'

/** What registries accept by convention; also bounds what is held in memory. */
export const maxManifestBytes = 4 * 1024 * 1024

/** https://github.com/opencontainers/image-spec/blob/main/manifest.md, and Docker's schema 2 */
export interface ImageManifest {
  kind: 'image'
  mediaType: string
  config: Descriptor
  layers: Descriptor[]
  subject?: Descriptor
  artifactType?: string
  annotations?: Record<string, string>
}

/** https://github.com/opencontainers/image-spec/blob/main/image-index.md, and Docker's manifest list */
export interface IndexManifest {
  kind: 'index'
  mediaType: string
  manifests: Descriptor[]
  subject?: Descriptor
  artifactType?: string
  annotations?: Record<string, string>
}

export type Manifest = ImageManifest | IndexManifest

/** Whoever passes a manifest on parses it again: each once. */
const parsed = new WeakMap<RawManifest, Manifest>()

/**
 * Reads a manifest or index; what it returns is for looking at only: the bytes are what is stored and sent, so unknown
 * fields survive. `raw.mediaType` is the Content-Type it came with; `what` names it in messages. Throws IntegrityError `bad_manifest`, and
 * `unsupported_artifact` for schema 1 and for types that are no manifest.
 */
export function parseManifest(raw: RawManifest, what = `manifest ${raw.digest}`): Manifest {
  const manifest = parsed.get(raw) ?? parse(raw, what)
  parsed.set(raw, manifest)
  return manifest
}

function parse(raw: RawManifest, what: string): Manifest {
  const mediaType = bareMediaType(raw.mediaType)
  if (raw.bytes.length > maxManifestBytes) {
    throw bad(what, `has ${raw.bytes.length} bytes, more than the ${maxManifestBytes} that are allowed`)
  }
  refuseForeignType(mediaType, what)
  const json = parseJsonObject(raw.bytes, what)
  refuseLookalikes(json, manifestNames, what)
  checkKind(json, mediaType, what)
  const common = {
    mediaType,
    ...optional('subject', json.subject, (value) => descriptorOf(value, `${what}, subject`)),
    ...optional('artifactType', json.artifactType, (value) => mediaTypeOf(value, `${what}, artifactType`)),
    ...optional('annotations', json.annotations, (value) => annotationsOf(value, what)),
  }
  if (isIndex(mediaType))
    return { kind: 'index', manifests: descriptorsOf(json.manifests, `${what}, manifests`), ...common }
  return {
    kind: 'image',
    config: descriptorOf(json.config, `${what}, config`),
    layers: descriptorsOf(json.layers, `${what}, layers`),
    ...common,
  }
}

/** Everything that must be there before this manifest may be pushed, in the order in which to push it. */
export function childrenOf(manifest: Manifest): Descriptor[] {
  return manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
}

/**
 * What the referrers list says of a manifest's type: its own `artifactType`, else its config's type.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
export function artifactTypeOf(manifest: Manifest): string | undefined {
  return manifest.artifactType ?? (manifest.kind === 'image' ? manifest.config.mediaType : undefined)
}

/** `Application/JSON; charset=utf-8` → `application/json`: parameters and case carry no meaning here. */
export function bareMediaType(contentType: string): string {
  return contentType.split(';', 1)[0]!.trim().toLowerCase()
}

function refuseForeignType(mediaType: string, what: string): void {
  if (isSchema1(mediaType)) {
    throw new IntegrityError('unsupported_artifact', `${what} is of Docker's schema 1, which is not supported`, {
      hint: 'Push the image again with a current tool: every one since 2016 writes schema 2 or OCI.',
    })
  }
  if (!isIndex(mediaType) && !isImageManifest(mediaType)) {
    throw new IntegrityError(
      'unsupported_artifact',
      `${what} has the type "${mediaType.slice(0, 100)}", which is no manifest`,
    )
  }
}

const manifestNames = byFold(
  'schemaVersion mediaType config layers manifests fsLayers subject artifactType annotations'.split(' '),
)
const descriptorNames = byFold('mediaType digest size annotations artifactType platform urls data'.split(' '))

function byFold(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name) => [foldName(name), name]))
}

/** Tools in Go read `Layers` as `layers`, and of both the last: they would see another document than we do. */
function refuseLookalikes(json: JsonObject, names: ReadonlyMap<string, string>, what: string): void {
  for (const key of Object.keys(json)) {
    const name = names.get(foldName(key))
    if (name !== undefined && name !== key) throw bad(what, `has "${key}", which some read as "${name}"`)
  }
}

/** CVE-2021-41190: the same bytes must not be read as two kinds of document. */
function checkKind(json: JsonObject, mediaType: string, what: string): void {
  if (json.schemaVersion !== 2) throw bad(what, 'does not have schemaVersion 2')
  const stated = json.mediaType ?? undefined
  if (stated !== undefined && stated !== mediaType) {
    throw bad(what, `calls itself ${JSON.stringify(stated).slice(0, 100)}, but came as "${mediaType}"`)
  }
  const hasMembers = present(json.manifests)
  const hasLayers = present(json.layers) || present(json.config) || present(json.fsLayers)
  if (hasMembers && hasLayers) throw bad(what, 'is both an index and an image manifest')
  if (isIndex(mediaType) ? hasLayers : hasMembers) {
    throw bad(what, `has the content of ${hasLayers ? 'an image manifest' : 'an index'}, but came as "${mediaType}"`)
  }
}

function descriptorsOf(value: unknown, what: string): Descriptor[] {
  // Go's tools write an empty list as null.
  if (value === null || value === undefined) return []
  if (!Array.isArray(value)) throw bad(what, 'is not a list')
  return value.map((entry, at) => descriptorOf(entry, `${what}[${at}]`))
}

function descriptorOf(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw bad(what, 'is not a descriptor')
  refuseLookalikes(value, descriptorNames, what)
  const size = value.size
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw bad(what, 'has no valid size')
  return {
    mediaType: mediaTypeOf(value.mediaType, what),
    digest: digestIn(value.digest, what),
    // JSON has a negative zero.
    size: size + 0,
    ...optional('annotations', value.annotations, (annotations) => annotationsOf(annotations, what)),
    ...optional('artifactType', value.artifactType, (type) => mediaTypeOf(type, what)),
    ...optional('platform', value.platform, (platform) => platformOf(platform, what)),
    ...optional('urls', value.urls, (urls) => stringsOf(urls, what)),
    ...optional('data', value.data, (data) => stringOf(data, `${what}, data`)),
  }
}

function digestIn(value: unknown, what: string): Digest {
  try {
    return parseDigest(value)
  } catch (error) {
    throw new IntegrityError('bad_manifest', `${what}: ${(error as Error).message}`)
  }
}

function mediaTypeOf(value: unknown, what: string): string {
  // RFC 6838, section 4.2; parameters are let through, since some tools write them.
  if (typeof value === 'string' && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\x20-\x7e]*)?$/.test(value)) return value
  throw bad(what, 'has no valid media type')
}

function annotationsOf(value: unknown, what: string): Record<string, string> {
  if (!isObject(value)) throw bad(what, 'has annotations that are not an object')
  const entries = Object.entries(value)
  for (const [key, text] of entries) {
    if (typeof text !== 'string') throw bad(what, `has an annotation that is not a string: ${key.slice(0, 100)}`)
  }
  return Object.fromEntries(entries) as Record<string, string>
}

function platformOf(value: unknown, what: string): Platform {
  if (!isObject(value)) throw bad(what, 'has a platform that is not an object')
  const { os, architecture, variant } = value
  return {
    os: stringOf(os ?? '', `${what}, os`),
    architecture: stringOf(architecture ?? '', `${what}, architecture`),
    ...optional('variant', variant, (text) => stringOf(text, `${what}, variant`)),
  }
}

function stringsOf(value: unknown, what: string): string[] {
  if (!Array.isArray(value)) throw bad(what, 'has urls that are not a list')
  return value.map((entry) => stringOf(entry, `${what}, urls`))
}

function stringOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw bad(what, 'is not a string')
  return value
}

function optional<K extends string, T>(key: K, value: unknown, read: (value: unknown) => T): Partial<Record<K, T>> {
  return present(value) ? ({ [key]: read(value) } as Record<K, T>) : {}
}

function present(value: unknown): boolean {
  return value !== undefined && value !== null
}

function bad(what: string, why: string): IntegrityError {
  return new IntegrityError('bad_manifest', `${what} ${why}`)
}
