import type { BundleFacts } from './bundle.ts'

/** The facts as a person wants to read them: sorted, without what only we need. */
export function summarizeBundle({ files, ignored, packages, manifest, signed }: BundleFacts) {
  return {
    files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    ignored: ignored.toSorted(),
    packages,
    roots: manifest.roots,
    revision: manifest.revision,
    signed,
  }
}
