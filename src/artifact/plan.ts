import { IntegrityError } from '../lib/errors.ts'
import type { BundleKind, ReleaseForm } from '../model/release.ts'
import type { ImageManifest } from '../oci/manifest.ts'
import {
  annotationTitle,
  annotationUnpack,
  dockerLayerForeign,
  dockerLayerTarGzip,
  ociEmpty,
  ociLayerNondistributable,
  ociLayerTar,
  ociLayerTarGzip,
  ociLayerTarZstd,
} from '../oci/media.ts'
import type { Descriptor } from '../oci/target.ts'
import { roleOf } from '../opa/files.ts'
import { placeDocuments } from './conftest.ts'
import { safePath } from './names.ts'

export const conftestPolicy = 'application/vnd.cncf.openpolicyagent.policy.layer.v1+rego'
export const conftestData = 'application/vnd.cncf.openpolicyagent.data.layer.v1+json'

/** What one layer adds to an archive that we make. */
export type Part =
  /** A file system layer of an image: whiteouts count, later ones win. */
  | { type: 'layer'; layer: Descriptor }
  /** A packed folder that stands by itself. */
  | { type: 'archive'; layer: Descriptor; within: string }
  | { type: 'file'; layer: Descriptor; path: string }
  /** A data file of any name, whose content belongs at a folder of OPA's tree. */
  | { type: 'document'; layer: Descriptor; path: string; folder: string }

export interface Plan {
  /** A layer that can be served as it came if its content allows it. */
  original: Descriptor | null
  /** What is done otherwise; empty where there is nothing else to try. */
  parts: Part[]
  form: Exclude<ReleaseForm, 'original'>
}

const tarTypes = new Set<string>([ociLayerTar, ociLayerTarGzip, ociLayerTarZstd, dockerLayerTarGzip])
const archiveName = /\.(tar|tgz|tar\.gz|tar\.zst)$/
const conftestTypes = new Set<string>([conftestPolicy, conftestData])

/**
 * Decides from the manifest alone what to do with its layers. Throws IntegrityError `unsupported_artifact` where nothing
 * in it can be served as this kind, saying what is in it and what would be; `unsafe_path` for titles that leave.
 */
export function planOf(manifest: ImageManifest, kind: BundleKind): Plan {
  const layers = manifest.layers.filter(({ mediaType }) => mediaType !== ociEmpty)
  for (const layer of layers) refuseElsewhere(layer)
  return kind === 'opa' ? planBundle(layers) : planFiles(layers)
}

export function titleOf(layer: Descriptor): string | undefined {
  const title = layer.annotations?.[annotationTitle]
  return title === '' ? undefined : title
}

export function isMarkedForUnpacking(layer: Descriptor): boolean {
  return titleOf(layer) !== undefined && layer.annotations?.[annotationUnpack] === 'true'
}

/** Whether an untitled layer of this type is a file system's, and not some file without a name. */
export function isFileSystemLayer(layer: Descriptor): boolean {
  return tarTypes.has(layer.mediaType)
}

/** For messages: `layer sha256:0123456789ab… ("data.json")`. */
export function nameLayer(layer: Descriptor): string {
  const title = titleOf(layer)
  return `layer ${layer.digest.slice(0, 19)}…${title === undefined ? '' : ` (${JSON.stringify(title.slice(0, 100))})`}`
}

function planBundle(layers: Descriptor[]): Plan {
  const typed = layers.map(archivePart).filter((part) => part !== undefined)
  const archives = typed.length > 0 ? typed : layers.filter(isArchiveByName).map(wholeArchive)
  const files = [...conftestParts(layers), ...fileParts(layers).filter(({ path }) => roleOf(path) !== undefined)]
  if (archives.length + files.length === 0) {
    throw unsupported(
      'an OPA bundle',
      layers,
      'Accepted are a tar+gzip layer with a bundle in it, image layers that hold its files, files titled *.rego or data.json, and what conftest pushes.',
    )
  }
  if (files.length > 0) return { original: null, parts: [...archives, ...files], form: 'assembled' }
  const [only, ...others] = archives
  const isOpaLayer = only?.layer.mediaType === ociLayerTarGzip && others.length === 0
  return { original: isOpaLayer ? only.layer : null, parts: archives, form: 'repacked' }
}

function planFiles(layers: Descriptor[]): Plan {
  const [only, ...others] = layers
  if (only !== undefined && others.length === 0 && isTarGzip(only))
    return { original: only, parts: [], form: 'repacked' }
  const untitled = layers.find((layer) => titleOf(layer) === undefined)
  if (untitled !== undefined || only === undefined) {
    throw unsupported(
      'files',
      layers,
      untitled === undefined
        ? 'Accepted are one tar+gzip layer, or layers that each carry a title.'
        : `${nameLayer(untitled)} has no title (${annotationTitle}), so nobody knows what its file is called.`,
    )
  }
  const archives = layers.filter(isMarkedForUnpacking).map(unpackPart)
  const files = fileParts(layers)
  return { original: null, parts: [...archives, ...files], form: files.length > 0 ? 'assembled' : 'repacked' }
}

function archivePart(layer: Descriptor): Extract<Part, { type: 'layer' | 'archive' }> | undefined {
  if (conftestTypes.has(layer.mediaType)) return undefined
  const title = titleOf(layer)
  if (title === undefined) return isFileSystemLayer(layer) ? { type: 'layer', layer } : undefined
  if (isMarkedForUnpacking(layer)) return unpackPart(layer)
  // oras gives single files the type of a plain tar, whatever they are.
  return isFileSystemLayer(layer) && layer.mediaType !== ociLayerTar ? wholeArchive(layer) : undefined
}

/** `oras push bundle.tar.gz` without a type; counts only where nothing else is an archive. */
function isArchiveByName(layer: Descriptor): boolean {
  return !conftestTypes.has(layer.mediaType) && archiveName.test(titleOf(layer) ?? '')
}

function wholeArchive(layer: Descriptor): Extract<Part, { type: 'archive' }> {
  return { type: 'archive', layer, within: '' }
}

/** oras writes a folder's name before each of its files', and refuses others when it unpacks. */
function unpackPart(layer: Descriptor): Extract<Part, { type: 'archive' }> {
  const what = `the title of ${nameLayer(layer)}`
  return { type: 'archive', layer, within: safePath(titleOf(layer)!, what, { leadingSlash: 'refuse' }) }
}

function fileParts(layers: Descriptor[]): Extract<Part, { type: 'file' }>[] {
  return layers
    .filter(
      (layer) => titleOf(layer) !== undefined && !isMarkedForUnpacking(layer) && !conftestTypes.has(layer.mediaType),
    )
    .map((layer) => ({ type: 'file', layer, path: titlePath(layer) }))
}

function conftestParts(layers: Descriptor[]): Part[] {
  const of = (mediaType: string) =>
    layers
      .filter((layer) => layer.mediaType === mediaType)
      .map((layer) => ({ layer, path: titlePath(layer) }))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  const [policies, data] = [of(conftestPolicy), of(conftestData)]
  const folders = placeDocuments(
    policies.map(({ path }) => path),
    data.map(({ path }) => path),
  )
  return [
    ...policies.map((file): Part => ({ type: 'file', ...file })),
    ...data.map((file, at): Part => ({ type: 'document', ...file, folder: folders[at]! })),
  ]
}

/** The title as a path. IntegrityError `unsafe_path` where it leaves the folder; `unsupported_artifact` where it names nothing. */
export function titlePath(layer: Descriptor): string {
  const path = safePath(titleOf(layer) ?? '', `the title of ${nameLayer(layer)}`, { leadingSlash: 'refuse' })
  if (path !== '') return path
  throw new IntegrityError('unsupported_artifact', `${nameLayer(layer)} has no title that names a file`)
}

function isTarGzip({ mediaType }: Descriptor): boolean {
  return mediaType === ociLayerTarGzip || mediaType === dockerLayerTarGzip
}

/** Such layers lie at an address of their own, which is never asked (CVE-2020-15157). */
function refuseElsewhere(layer: Descriptor): void {
  if (layer.mediaType === dockerLayerForeign || layer.mediaType.startsWith(ociLayerNondistributable)) {
    throw new IntegrityError('unsupported_artifact', `${nameLayer(layer)} may not be distributed (${layer.mediaType})`)
  }
}

function unsupported(what: string, layers: Descriptor[], hint: string): IntegrityError {
  const list = layers.map((layer) => `${nameLayer(layer)} of type ${layer.mediaType}`)
  const has =
    list.length === 0 ? 'it has no layers' : `it has ${list.slice(0, 10).join(', ')}${list.length > 10 ? ', …' : ''}`
  return new IntegrityError('unsupported_artifact', `the artifact cannot be served as ${what}: ${has}`, { hint })
}
