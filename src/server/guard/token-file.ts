import { randomBytes } from 'node:crypto'
import { chmod, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, StorageError } from '../../lib/errors.ts'

const shortestToken = 16

/**
 * The admin token of a data folder: the file `token`, mode 0600, made at the first start. A longer text that somebody put
 * there is taken as it is. Throws StorageError when it cannot be read or written, ConfigError when it is too short.
 */
export async function ensureAdminToken(folder: string): Promise<{ path: string; secret: string; created: boolean }> {
  const path = join(folder, 'token')
  const existing = await read(path)
  if (existing === '') return { path, secret: await write(path), created: true }
  if (existing.length < shortestToken) {
    throw new ConfigError(`the admin token in ${path} is shorter than ${shortestToken} characters`, {
      hint: 'remove the file: the next start makes a new token',
    })
  }
  await chmod(path, 0o600).catch(() => undefined)
  return { path, secret: existing, created: false }
}

async function read(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new StorageError('io', `cannot read the admin token ${path}: ${(error as Error).message}`, { cause: error })
  }
}

/** Aside, then renamed: a start that is cut off leaves no half token. */
async function write(path: string): Promise<string> {
  const secret = randomBytes(32).toString('base64url')
  const aside = `${path}.new`
  try {
    const file = await open(aside, 'w', 0o600)
    try {
      await file.chmod(0o600)
      await file.writeFile(`${secret}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(aside, path)
    return secret
  } catch (error) {
    throw new StorageError('io', `cannot write the admin token ${path}: ${(error as Error).message}`, { cause: error })
  }
}
