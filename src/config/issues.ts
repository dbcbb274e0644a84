import type { z } from 'zod'
import type { Path } from './document.ts'
import { secretError } from '../lib/schema.ts'
import { keysAt } from './known-keys.ts'
import { nearestWord, suggest } from '../lib/nearest.ts'

/** A problem before its place in the file is known. */
export interface PlacedProblem {
  path: Path
  message: string
  hint?: string
}

type Issue = z.core.$ZodIssue

const expectedText = 'expected text'
const nouns: Record<string, string> = {
  string: 'text',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
}

/** What zod says where a schema has no words of its own. */
export const describeIssue: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${nouns[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `expected ${oneOf(issue.values.map(String))}`
    case 'invalid_union':
      return Array.isArray(issue.options) ? `expected ${oneOf(issue.options.map(String))}` : 'expected something else'
    case 'too_small':
      return issue.origin === 'string'
        ? expectedText
        : `expected ${issue.inclusive ? 'at least' : 'more than'} ${String(issue.minimum)}`
    case 'too_big':
      return `expected at most ${String(issue.maximum)}`
    default:
      return undefined
  }
}

/** Each issue as a person should read it; of a union's branches, the one that was meant. */
export function problemsOf(
  issues: readonly Issue[],
  value: unknown,
  textAt: (path: Path) => string | undefined,
): PlacedProblem[] {
  return issues
    .flatMap((issue) => flatten(issue, []))
    .flatMap(({ issue, path }) => problemsOfIssue(issue, path, value, textAt))
}

interface Placed {
  issue: Issue
  path: Path
}

function flatten(issue: Issue, base: Path): Placed[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))]
  if (issue.code !== 'invalid_union') return [{ issue, path }]
  const meant = issue.errors.filter(
    (branch) => !branch.some((inner) => inner.code === 'invalid_type' && inner.path.length === 0),
  )
  return meant.length === 1 ? meant[0]!.flatMap((inner) => flatten(inner, path)) : [{ issue, path }]
}

function problemsOfIssue(
  issue: Issue,
  path: Path,
  root: unknown,
  textAt: (path: Path) => string | undefined,
): PlacedProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(root, path)
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `unknown key \`${key}\`: ${suggest(key, known)}`,
    }))
  }
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message }]
  const value = valueAt(root, path)
  if (value === undefined && issue.code !== 'custom') return [{ path, message: `missing: ${issue.message}` }]
  if (value === null) return [{ path, message: `${issue.message}, got nothing` }]
  // Somebody who took the name for the token: it must not be shown as a key either.
  const isToken = path.length === 4 && path.slice(0, 3).join('.') === 'server.access.tokens'
  if (isToken && !isMapping(value)) {
    return [{ path: path.slice(0, 3), message: issue.message, hint: 'Write it as NAME: { token: …, allow: [read] }.' }]
  }
  const written = isSecret(path) ? undefined : writtenAt(value, path, textAt)
  const got = written === undefined || isSaid(written, issue.message) ? '' : `, got \`${written}\``
  return [{ path, message: `${issue.message}${got}`, ...hintFor(issue, path, value, written) }]
}

function hintFor(issue: Issue, path: Path, value: unknown, written: string | undefined): { hint?: string } {
  const key = String(path.at(-1))
  if (typeof value === 'number' || typeof value === 'boolean') {
    const wantsText = [expectedText, secretError].includes(issue.message) || key === 'follow'
    const name = typeof path.at(-1) === 'number' ? '' : `${key}: `
    if (wantsText) return { hint: written === undefined ? 'Quote it.' : `Quote it: ${name}"${written}"` }
  }
  const options = optionsOf(issue)
  if (options === undefined || typeof value !== 'string') return {}
  const nearest = nearestWord(value, options)
  return nearest === undefined ? {} : { hint: `Did you mean \`${nearest}\`?` }
}

function optionsOf(issue: Issue): string[] | undefined {
  if (issue.code === 'invalid_value') return issue.values.map(String)
  const { options } = issue as { options?: unknown[] }
  if (issue.code === 'invalid_union' && options !== undefined) return options.map(String)
  return undefined
}

/** A plain value as the file has it, before anything was put in from elsewhere: never what a variable held. */
function writtenAt(value: unknown, path: Path, textAt: (path: Path) => string | undefined): string | undefined {
  if (typeof value === 'object') return undefined
  const text = textAt(path)
  return text === undefined || text.length > 80 || text.includes('\n') ? undefined : text
}

/** Also where a mapping with a secret in it should be, and only the secret is. */
function isSecret(path: Path): boolean {
  const [section, part] = path
  const isLogin = section === 'registries' && path.length === 2
  const isAccess = section === 'server' && part === 'access' && path.length !== 3
  // That of an incoming webhook is what lets one write there; a database's may have a password in it.
  const isUrl = (section === 'publishers' && path.at(-1) === 'url') || (section === 'state' && part === 'url')
  return isLogin || isAccess || isUrl || path.some((word) => /pass|token|secret/i.test(String(word)))
}

/** `user:password@host` must not be said at all. */
function isSaid(written: string, message: string): boolean {
  return message.includes(`"${written}`) || /:.*@/.test(written)
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, part) => (value as Record<string, unknown> | null | undefined)?.[part], root)
}

function oneOf(words: string[]): string {
  return words.length === 1 ? words[0]! : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
