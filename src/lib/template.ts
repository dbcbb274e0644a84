import { suggest } from './nearest.ts'

/** `{version}`; `${…}` is not ours. */
const word = /(?<!\$)\{([A-Za-z_]+)\}/g

/** What is wrong with a template in which these words are replaced; undefined where nothing is. */
export function unknownWord(template: string, known: readonly string[]): string | undefined {
  const unknown = [...template.matchAll(word)].map(([, name]) => name!).find((name) => !known.includes(name))
  return unknown && `nothing is known as {${unknown}} (${suggest(unknown, known)})`
}

/** The words that `template` has. */
export function wordsIn(template: string): string[] {
  return [...template.matchAll(word)].map(([, name]) => name!)
}

export function fill(template: string, words: Readonly<Record<string, string>>): string {
  return template.replace(word, (whole: string, name: string) => (Object.hasOwn(words, name) ? words[name]! : whole))
}
