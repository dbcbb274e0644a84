import type { BundleFile, BundleSummary } from '../artifact/types.ts'
import { counted, formatSize } from '../lib/units.ts'
import { annotationTitle } from '../oci/media.ts'
import type { Descriptor } from '../oci/target.ts'
import { alignColumns, fields, oneLine } from './format.ts'
import type { Artifact } from './inspect-artifact.ts'

/** An artifact as lines for a person. */
export function describeArtifact(artifact: Artifact): string[] {
  const { layers, manifests, referrers, annotations, bundle, notBundle } = artifact
  return [
    ...fields([
      ['reference', artifact.reference],
      ['digest', artifact.digest],
      ['type', artifact.mediaType],
      ['artifact type', artifact.artifactType],
      ['size', formatSize(artifact.size)],
      ['config', artifact.config && describe(artifact.config)],
      ['subject', artifact.subject],
    ]),
    ...section(
      'annotations',
      Object.entries(annotations ?? {}).map(([key, value]) => `${oneLine(key)}: ${oneLine(value)}`),
    ),
    ...section('layers', (layers ?? []).map(describe)),
    ...section('members', (manifests ?? []).map(describe)),
    ...section('referrers', referrers.map(describe)),
    ...(bundle === undefined ? [] : ['', 'bundle', ...describeSummary(bundle).map((line) => `  ${line}`)]),
    ...(notBundle === undefined ? [] : ['', `not shown as a bundle: ${oneLine(notBundle)}`]),
  ]
}

/** What is in a bundle as lines for a person. */
export function describeSummary(summary: BundleSummary): string[] {
  const { files, ignored, packages, roots, revision, signed } = summary
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  const unused = new Set(ignored)
  return [
    ...fields([
      ['revision', oneLine(revision ?? 'none')],
      ['roots', roots.map((root) => (root === '' ? '"" (everything)' : oneLine(root))).join(', ')],
      ['packages', packages.length === 0 ? 'none' : packages.map((name) => oneLine(name)).join(', ')],
      ['signed', signed ? 'yes' : 'no'],
    ]),
    `${counted(files.length, 'file')}, ${formatSize(bytes)}`,
    ...alignColumns(files.map((file) => rowOf(file, unused.has(file.path)))).map((line) => `  ${line}`),
  ]
}

function rowOf({ path, size }: BundleFile, isUnused: boolean): string[] {
  return [oneLine(path), formatSize(size), isUnused ? '(OPA ignores it)' : '']
}

/** `sha256:…  1.5 KiB  application/…  linux/amd64  "data.json"`. */
function describe({ digest, size, mediaType, artifactType, platform, annotations }: Descriptor): string {
  const title = annotations?.[annotationTitle]
  const machine = platform && [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/')
  const parts = [
    digest,
    formatSize(size),
    artifactType ?? mediaType,
    machine,
    title === undefined ? '' : JSON.stringify(title),
  ]
  return oneLine(parts.filter(Boolean).join('  '))
}

function section(name: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', name, ...lines.map((line) => `  ${line}`)]
}
