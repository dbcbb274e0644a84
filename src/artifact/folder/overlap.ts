import { dirname, join } from 'node:path'
import { ConfigError, IntegrityError } from '../../lib/errors.ts'
import { parentsOf } from '../names.ts'
import { ledgerFile, ownFolder, pathsOf, readLedgers } from './ledger.ts'

/**
 * Throws ConfigError `overlap` where another owner has a file at one of these paths, or where one of them needs a folder: in this
 * folder, in one above it, or in one below that the paths lead through. IntegrityError for a name that is ours.
 */
export async function refuseOverlaps(folder: string, owner: string, paths: readonly string[]): Promise<void> {
  const own = paths.find((path) => path.split('/').includes(ownFolder))
  if (own !== undefined) {
    throw new IntegrityError('unsafe_path', `${own} is where longshore keeps its own files`, { file: own })
  }
  const wanted = new Set(paths.map((path) => join(folder, path)))
  const through = new Set(paths.flatMap((path) => parentsOf(path)).map((path) => join(folder, path)))
  for (const place of [...foldersAbove(folder), folder, ...through]) {
    for (const ledger of await readLedgers(place)) {
      if (place === folder && ledger.owner === owner) continue
      for (const path of pathsOf(ledger)) {
        const taken = join(place, path)
        const clash = wanted.has(taken) || through.has(taken) ? taken : parentIn(path, wanted, place)
        if (clash !== undefined) throw overlap(owner, ledger.owner, clash, ledgerFile(place, ledger.owner))
      }
    }
  }
}

/** A folder of theirs where we want a file. */
function parentIn(path: string, wanted: ReadonlySet<string>, place: string): string | undefined {
  return parentsOf(path)
    .map((parent) => join(place, parent))
    .find((parent) => wanted.has(parent))
}

function foldersAbove(folder: string): string[] {
  const above: string[] = []
  for (let at = dirname(folder); at !== dirname(at); at = dirname(at)) above.push(at)
  return above
}

function overlap(owner: string, other: string, path: string, ledger: string): ConfigError {
  return new ConfigError(`${owner} and ${other} both have a file at ${path}: ${owner} is not written`, {
    code: 'overlap',
    hint: `Give one of them another path. If ${other} no longer goes there, remove ${ledger}.`,
  })
}
