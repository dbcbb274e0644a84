import { serveTasks } from '../lib/threads.ts'
import { checkArchive, checkBundle, type CheckOptions } from './check.ts'
import { repack, type RepackTask } from './repack.ts'

// What the assembler's threads run.

export interface CheckTask extends Pick<CheckOptions, 'limits'> {
  path: string
}

serveTasks({
  checkBundle: ({ path, limits }: CheckTask) => checkBundle(path, { limits }),
  checkArchive: ({ path, limits }: CheckTask) => checkArchive(path, { limits }),
  repack: (task: RepackTask) => repack(task),
})
