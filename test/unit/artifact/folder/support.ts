import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { lookIntoFolder, putIntoFolder } from '../../../../src/artifact/folder/folder.ts'
import type { FolderContent, FolderSpec } from '../../../../src/artifact/folder/types.ts'
import { partsOf } from '../../../../src/artifact/stage.ts'
import type { Descriptor } from '../../../../src/oci/target.ts'
import { tempDir } from '../../../support/temp.ts'
import { image, limits, TestBlobs } from '../support.ts'

export const blobs = new TestBlobs()

export function specOf(more: Partial<FolderSpec> = {}): FolderSpec {
  return {
    ...{ path: join(tempDir('place'), 'zones'), within: null, mode: 'files' },
    ...{ fileMode: 0o644, folderMode: 0o755, uid: null, gid: null },
    ...more,
  }
}

/** The layers of an artifact; each blob that is fetched is noted in `fetched`. */
export function contentOf(
  layers: Descriptor[],
  more: Partial<FolderContent> = {},
): FolderContent & { fetched: string[] } {
  const raw = image(layers)
  const fetched: string[] = []
  const source = {
    async *blob(descriptor: Descriptor) {
      fetched.push(descriptor.digest)
      yield readFileSync(await blobs.file(descriptor.digest))
    },
  }
  return {
    ...{ owner: 'zones', digest: raw.digest, form: 'layers', parts: partsOf(raw, 'refuse'), source, limits, fetched },
    leadingSlash: 'refuse',
    ...more,
  }
}

/** One titled layer for each file. */
export function filesOf(files: Record<string, string>, more: Partial<FolderContent> = {}) {
  return contentOf(
    Object.entries(files).map(([title, text]) => blobs.titled(title, text)),
    more,
  )
}

export async function put(spec: FolderSpec, content: FolderContent, tell: () => Promise<void> = async () => undefined) {
  return putIntoFolder(spec, content, tell)
}

export async function isSettled(spec: FolderSpec, content: FolderContent): Promise<boolean> {
  const held = await lookIntoFolder(spec, content.owner)
  return held?.digest === content.digest && held.form === content.form && held.isSettled
}

/** Path → text of what readers see; links are shown as `-> to`. */
export function listing(path: string): Record<string, string> {
  const found: Record<string, string> = {}
  const visit = (inner: string) => {
    for (const name of readdirSync(join(path, inner)).sort()) {
      const at = inner === '' ? name : `${inner}/${name}`
      if (name === '.longshore') continue
      const stat = lstatSync(join(path, at))
      if (stat.isSymbolicLink()) found[at] = `-> ${readlinkSync(join(path, at))}`
      else if (stat.isDirectory()) visit(at)
      else found[at] = readFileSync(join(path, at), 'utf8')
    }
  }
  visit('')
  return found
}

/** Every name below a folder, ours too. */
export function namesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).sort()
}
