import type { Problem } from '../lib/errors.ts'
import type { ConfigDocument } from './document.ts'
import { parsePlainJson } from './json.ts'

/** A config file as a value, and, where something is wrong, the lines of it. */
export interface ReadConfig {
  value: unknown
  problems: Problem[]
  places(): Promise<Places>
}

export type Places = Pick<ConfigDocument, 'lineOf' | 'textAt'>

export const nowhere: Places = { lineOf: () => undefined, textAt: () => undefined }

/** The parser of YAML is loaded only where there is YAML, or something to say of a line. */
export async function readConfig(bytes: Uint8Array): Promise<ReadConfig> {
  let parsed: Promise<ConfigDocument> | undefined
  const parse = () => (parsed ??= import('./document.ts').then(({ readConfigDocument }) => readConfigDocument(bytes)))
  const json = parsePlainJson(bytes)
  if (json !== undefined) return { value: json, problems: [], places: parse }
  const { value, problems } = await parse()
  return { value, problems, places: parse }
}

/** A value that comes from no file. */
export function configOf(value: unknown): ReadConfig {
  return { value, problems: [], places: () => Promise.resolve(nowhere) }
}
