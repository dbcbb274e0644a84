import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Makes the folder and those above it that are missing; returns the first that was made, undefined where it was there. Like Node's
 * own `recursive`, which never ends where a folder that is there takes no other, as below /proc (Node 26.10), and cannot be stopped then.
 */
export async function makeFolders(path: string, mode?: number): Promise<string | undefined> {
  const missing: string[] = []
  let at = resolve(path)
  while (!(await isFolder(at))) {
    missing.push(at)
    at = dirname(at)
  }
  for (const folder of missing.toReversed()) await makeFolder(folder, mode)
  return missing.at(-1)
}

/** Somebody else may make it in the same moment. */
async function makeFolder(path: string, mode: number | undefined): Promise<void> {
  try {
    await mkdir(path, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !(await isFolder(path))) throw error
  }
}

/** False where there is nothing, and for anything else, in whose place no folder can be made. */
async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
