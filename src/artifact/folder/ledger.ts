import { createHash } from 'node:crypto'
import { open, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { StorageError } from '../../lib/errors.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { safePath } from '../names.ts'

/**
 * What longshore keeps for itself in a folder that others read. Names in it begin with a dot and hold no other, so that no pattern
 * for zones or documents matches them: CoreDNS's `auto` looks into every folder for `db\.(.*)` anywhere in a name.
 */
export const ownFolder = '.longshore'

/** A file as it was left: what is still so need not be read again. */
export interface LedgerFile {
  path: string
  digest: Digest
  size: number
  executable: boolean
  mtimeMs: number
  ino: number
}

/** What one owner has written in a folder, or is about to. */
export interface Ledger {
  owner: string
  /** Of the manifest; of the older one while the newer is being written. Null before the first. */
  digest: Digest | null
  form: string
  /** `writing`: some files may be the newer artifact's. `written`: nobody was told yet. */
  state: 'writing' | 'written' | 'done'
  files: LedgerFile[]
  /** Paths that may have been written since. */
  incoming: string[]
  /** Folders that we made: removed when they are empty. */
  folders: string[]
}

const pathSchema = z
  .string()
  .refine((path) => path !== '' && safePath(path, 'a path', { leadingSlash: 'refuse' }) === path)
const digestSchema = z.string().refine((text): text is Digest => isDigest(text))
const ledgerSchema = z.strictObject({
  owner: z.string(),
  digest: digestSchema.nullable(),
  form: z.string(),
  state: z.enum(['writing', 'written', 'done']),
  files: z.array(
    z.strictObject({
      path: pathSchema,
      digest: digestSchema,
      size: z.int().min(0),
      executable: z.boolean(),
      mtimeMs: z.number(),
      ino: z.number(),
    }),
  ),
  incoming: z.array(pathSchema),
  folders: z.array(pathSchema),
})

/** The same name for the same text, whatever characters that has. */
export function nameOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

export function ledgerFile(folder: string, owner: string): string {
  return join(folder, ownFolder, `.ledger-${nameOf(owner)}`)
}

export function pathsOf({ files, incoming }: Ledger): string[] {
  return [...new Set([...files.map(({ path }) => path), ...incoming])]
}

/** Undefined where there is none. Throws StorageError `corrupt` for what nobody may act on: it says which files to remove. */
export async function readLedger(file: string): Promise<Ledger | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
  try {
    return ledgerSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new StorageError('corrupt', `${file} is no list of files as longshore writes it`, {
      cause: error,
      hint: 'Remove it, and what is deployed there is written anew; files that only it knew of then stay.',
    })
  }
}

/** Those of all owners in the folder. */
export async function readLedgers(folder: string): Promise<Ledger[]> {
  const own = join(folder, ownFolder)
  const names = await readdir(own).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw error
  })
  const found: Ledger[] = []
  for (const name of names) {
    const ledger = /^\.ledger-[0-9a-f]{16}$/.test(name) ? await readLedger(join(own, name)) : undefined
    if (ledger !== undefined) found.push(ledger)
  }
  return found
}

/** Durable when it returns, and the older one until then. */
export async function writeLedger(file: string, ledger: Ledger): Promise<void> {
  const aside = `${file}-new`
  const handle = await open(aside, 'w', 0o644)
  try {
    await handle.writeFile(`${JSON.stringify(ledger)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(aside, file)
  await syncFolder(dirname(file))
}

/** Makes what was made, renamed or removed in the folder survive a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
