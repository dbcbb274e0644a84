import { z } from 'zod'
import { ConfigError } from '../../lib/errors.ts'
import { compilePattern } from '../../lib/pattern.ts'
import { parseRange } from '../../lib/version.ts'
import { orders, type Follow } from '../../model/follow.ts'
import { isDigest } from '../../oci/digest.ts'
import { isTag } from '../../oci/reference.ts'

const followError = 'expected a tag such as latest, a digest sha256:…, { semver } or { pattern, order }'

const exactSchema = z.string().refine((text) => isTag(text) || isDigest(text), { error: followError })

/** All keys in one mapping, so that what is wrong with one of them is said of that one. */
const choiceSchema = z.strictObject({
  semver: z.string().optional().describe('A range of versions as npm has them: `^1.2`, `>=1.0.0 <2`, `*`.'),
  prerelease: z.boolean().optional().describe('With `semver`: whether prereleases count. Unset: they do not.'),
  pattern: z
    .string()
    .min(1)
    .optional()
    .describe('A regular expression (RE2) that a tag matches; its named group, if it has one, is what is ordered.'),
  order: z.enum(orders).optional().describe('With `pattern`: which of those that match is the newest.'),
})

type Choice = z.output<typeof choiceSchema>

export const followSchema = z
  .union([exactSchema, choiceSchema], { error: followError })
  .transform((written, context): Follow => {
    if (typeof written === 'string') return isDigest(written) ? { digest: written } : { tag: written }
    const problem = problemOf(written)
    if (problem === undefined) return followOf(written)
    context.addIssue({ code: 'custom', message: problem.message, path: problem.path })
    return z.NEVER
  })

function followOf({ semver, prerelease = false, pattern = '', order = 'semver' }: Choice): Follow {
  return semver === undefined ? { pattern, order } : { semver, prerelease }
}

interface Problem {
  path: string[]
  message: string
}

function problemOf({ semver, prerelease, pattern, order }: Choice): Problem | undefined {
  if ((semver === undefined) === (pattern === undefined)) {
    return { path: [], message: 'expected either semver, or pattern and order' }
  }
  if (semver !== undefined) {
    if (order !== undefined)
      return { path: ['order'], message: 'goes with a pattern: versions have an order of their own' }
    return checked('semver', () => void parseRange(semver))
  }
  if (prerelease !== undefined) {
    return { path: ['prerelease'], message: 'goes with semver: of a pattern, all that match count' }
  }
  if (order === undefined) return { path: ['order'], message: `missing: expected ${orders.join(', ')}` }
  return checked('pattern', () => {
    const { hasGroup } = compilePattern(pattern!)
    if (!hasGroup || order !== 'created') return
    throw new ConfigError('the pattern has a named group, which says what is ordered, and order: created', {
      hint: 'Write the group as (?:…).',
    })
  })
}

function checked(key: string, read: () => void): Problem | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { path: [key], message: [error.message, error.hint].join('. ').replace(/\.$/, '') }
  }
}
