import { StorageError } from '../lib/errors.ts'
import { factOperations } from './operations/facts.ts'
import type { Db } from './schema.ts'

const contentIdFact = 'contentId'

/** The content that this state speaks of; undefined where it is new. */
export function readContentId(db: Db): Promise<string | undefined> {
  return factOperations.get(db, contentIdFact)
}

/** From now on the state is that of this content. Throws StorageError `foreign` where it is another's. */
export async function claim(db: Db, name: string, contentId: string): Promise<void> {
  const known = await readContentId(db)
  if (known === undefined) await factOperations.set(db, contentIdFact, contentId)
  else refuseOther(known, name, contentId)
}

/** `name` is the state's, for a person. */
export function refuseOther(known: string, name: string, contentId: string): void {
  if (known === contentId) return
  throw new StorageError('foreign', `${name} belongs to content ${known}, but was given content ${contentId}`, {
    hint: 'Give it the content folder that it was made with (its file "id" says which), or begin with an empty folder.',
  })
}
