import type { Problem } from '../lib/errors.ts'
import { createThreads } from '../lib/threads.ts'
import type { ConfigDocument } from './document.ts'

/** A config file as a value, and, where something is wrong, the lines of it. */
export interface ReadConfig {
  value: unknown
  problems: Problem[]
  places(): Promise<Places>
}

export type Places = Pick<ConfigDocument, 'lineOf' | 'textAt'>

export const nowhere: Places = { lineOf: () => undefined, textAt: () => undefined }

/** A thread that parses this much takes no longer to start than to do it here. */
const smallBytes = 32 * 1024
const maxHeapBytes = 512 * 1024 ** 2

/**
 * A large file is parsed in a thread that ends with it: a parser of YAML makes hundreds of bytes of each, and this process
 * would keep the room for them for as long as it runs. Meanwhile what is needed next can be loaded.
 */
export async function readConfig(bytes: Uint8Array): Promise<ReadConfig> {
  let parsed: Promise<ConfigDocument> | undefined
  const parse = () => (parsed ??= import('./document.ts').then(({ readConfigDocument }) => readConfigDocument(bytes)))
  if (bytes.length < smallBytes) {
    const document = await parse()
    return { value: document.value, problems: document.problems, places: () => Promise.resolve(document) }
  }
  const thread = createThreads({ program: new URL('./worker.ts', import.meta.url), threads: 1, maxHeapBytes })
  try {
    return { ...(await thread.run<Pick<ReadConfig, 'value' | 'problems'>>('parse', bytes)), places: parse }
  } finally {
    await thread.close()
  }
}

/** A value that comes from no file. */
export function configOf(value: unknown): ReadConfig {
  return { value, problems: [], places: () => Promise.resolve(nowhere) }
}
