import type { Problem } from '../lib/errors.ts'
import type { ConfigDocument } from './document.ts'

/** A config file as a value, and, where something is wrong, the lines of it. */
export interface ReadConfig {
  value: unknown
  problems: Problem[]
  places(): Promise<Places>
}

export type Places = Pick<ConfigDocument, 'lineOf' | 'textAt'>

export const nowhere: Places = { lineOf: () => undefined, textAt: () => undefined }

/** The parser of YAML is loaded only where there is a file. */
export async function readConfig(bytes: Uint8Array): Promise<ReadConfig> {
  const { readConfigDocument } = await import('./document.ts')
  const document = readConfigDocument(bytes)
  return { value: document.value, problems: document.problems, places: () => Promise.resolve(document) }
}

/** A value that comes from no file. */
export function configOf(value: unknown): ReadConfig {
  return { value, problems: [], places: () => Promise.resolve(nowhere) }
}
