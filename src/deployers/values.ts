import { Secret } from '../lib/secret.ts'

/** As they are now: a secret's file may have changed. Throws ConfigError where one cannot be read. */
export async function textsOf(values: Readonly<Record<string, string | Secret>>): Promise<Record<string, string>> {
  const texts = Object.entries(values).map(async ([name, value]) => {
    return [name, value instanceof Secret ? await value.read() : value] as const
  })
  return Object.fromEntries(await Promise.all(texts))
}
