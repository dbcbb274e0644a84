// A process that puts one release into a folder, to be killed on the way: FOLDER MODE SERIAL TOLD
import { appendFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { putIntoFolder } from '../../src/artifact/folder/folder.ts'
import type { FolderContent, FolderSpec } from '../../src/artifact/folder/types.ts'
import { defaultLimits } from '../../src/artifact/limits.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { blobOf } from './repository.ts'

/** Files that both releases have, that one has, and that are a folder in the other. */
export function filesOf(serial: number): Record<string, string> {
  const text = (name: string) => `${name} ${serial}\n`.repeat(100)
  const names = serial % 2 === 1 ? ['db.a', 'db.odd', 'deep/er/db.b', 'turns'] : ['db.a', 'deep/db.c', 'turns/db.d']
  return Object.fromEntries(names.map((name) => [name, text(name)]))
}

export function specOf(path: string, mode: string): FolderSpec {
  const access = { fileMode: 0o644, folderMode: 0o755, uid: null, gid: null }
  return { path, within: null, mode: mode === 'swap' ? 'swap' : 'files', ...access }
}

export async function putSerial(path: string, mode: string, serial: number, told: string): Promise<void> {
  const files = filesOf(serial)
  const layers = Object.entries(files).map(([title, text]) => ({ title, layer: blobOf(text) }))
  const content: FolderContent = {
    owner: 'zones',
    digest: digestOf(String(serial)),
    form: 'layers',
    parts: layers.map(({ title, layer }) => ({ type: 'file', layer, path: title })),
    source: {
      async *blob({ digest }) {
        yield Buffer.from(files[layers.find(({ layer }) => layer.digest === digest)!.title]!)
      },
    },
    limits: defaultLimits,
    leadingSlash: 'refuse',
  }
  await putIntoFolder(specOf(path, mode), content, async () => appendFileSync(told, `${serial}\n`))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , path = '', mode = '', serial = '', told = ''] = process.argv
  await putSerial(path, mode, Number(serial), told)
}
