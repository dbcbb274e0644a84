import type { RE2JS } from 're2js'
import { ConfigError } from './errors.ts'
import { loadPackage } from './load.ts'

export interface Pattern {
  /** What the named group holds, or else the whole text; undefined where the pattern does not match. */
  match(text: string): string | undefined
  /** Whether it has a named group. */
  hasGroup: boolean
}

/**
 * A regular expression in RE2's syntax, which is matched in time linear in the text: who pushes tags cannot make a pattern that
 * somebody else wrote take for ever. https://github.com/google/re2/wiki/Syntax. Throws ConfigError.
 */
export function compilePattern(text: string): Pattern {
  const compiled = compile(text)
  const groups = Object.keys(compiled.namedGroups())
  if (groups.length > 1) {
    throw new ConfigError(`the pattern has more than one named group: ${groups.join(', ')}`, {
      code: 'bad_pattern',
      hint: 'The one named group says which part of a tag is ordered; write the others as (?:…).',
    })
  }
  const [group] = groups
  return {
    hasGroup: group !== undefined,
    match(tag) {
      // Whether it matches is found much faster than where.
      if (!compiled.test(tag)) return undefined
      if (group === undefined) return tag
      const matcher = compiled.matcher(tag)
      return matcher.find() ? (matcher.group(group) ?? '') : undefined
    },
  }
}

function compile(text: string): RE2JS {
  const re2 = loadPackage('re2js') as { RE2JS: typeof RE2JS }
  try {
    return re2.RE2JS.compile(text)
  } catch (error) {
    const isLook = /\(\?<?[=!]|\\[1-9]/.test(text)
    throw new ConfigError(`not a regular expression: "${text.slice(0, 100)}"`, {
      code: 'bad_pattern',
      cause: error,
      hint: isLook
        ? 'Patterns are RE2: they have neither lookaround nor references to groups.'
        : 'Patterns are RE2, such as ^prod- or ^main-[0-9a-f]+-(?<n>[0-9]+)$.',
    })
  }
}
