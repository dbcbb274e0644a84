import { portable } from '../lib/threads.ts'
import { checkArchive, checkBundle, type CheckOptions } from './check.ts'
import { repack, type RepackTask } from './repack.ts'

// What the assembler's threads run; each takes and gives only what can be cloned.

export interface CheckTask extends Pick<CheckOptions, 'limits'> {
  path: string
}

export const runCheckBundle = portable(({ path, limits }: CheckTask) => checkBundle(path, { limits }))
export const runCheckArchive = portable(({ path, limits }: CheckTask) => checkArchive(path, { limits }))
export const runRepack = portable((task: RepackTask) => repack(task))
