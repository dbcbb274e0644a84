import type { Problem } from '../lib/errors.ts'
import type { Path } from './document.ts'

export interface Lookups {
  /** A variable of the environment. */
  environment: (name: string) => string | undefined
  /** The file's own `meta`. */
  meta: unknown
}

type PlacedProblem = Omit<Problem, 'file' | 'line' | 'key'> & { path: Path }

/** `meta` values that name others could otherwise grow without bound. */
const maxReferences = 10_000
const maxChain = 100
const maxLength = 64 * 1024

const reference = /\$\$\{|\$\{([^}]*)\}?/g
const variable = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/
const metaReference = /^meta\.([\w.-]+)$/

export interface Substituted {
  value: unknown
  problems: PlacedProblem[]
  /** What was put in from the environment: a value by its variable's name. */
  used: Map<string, string>
}

/** Replaces `${NAME}`, `${NAME:-default}` and `${meta.a.b}` in every string of `value`, keys left alone; `$${` stands for `${`. */
export function substitute(value: unknown, lookups: Lookups): Substituted {
  const problems: PlacedProblem[] = []
  const budget = { references: maxReferences }
  const used = new Map<string, string>()
  /** Where it is: one for all, since nearly all of what is walked through has no reference. */
  const path: (string | number)[] = []
  const report: Report = (problem) => problems.push({ ...problem, path: [...path] })
  const within = (key: Path[number], item: unknown): unknown => {
    path.push(key)
    const replaced = walk(item)
    path.pop()
    return replaced
  }
  const walk = (part: unknown): unknown => {
    if (typeof part === 'string') {
      const isPlain = !part.includes('${') && part.length <= maxLength
      return isPlain ? part : replaceIn(part, { lookups, budget, used, report }, [])
    }
    if (Array.isArray(part)) return part.map((item, index) => within(index, item))
    if (typeof part !== 'object' || part === null) return part
    return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, within(key, item)]))
  }
  return { value: walk(value), problems, used }
}

type Report = (problem: { message: string; hint?: string }) => void

interface Work {
  lookups: Lookups
  budget: { references: number }
  used: Map<string, string>
  report: Report
}

function replaceIn(text: string, work: Work, within: readonly string[]): string {
  const replaced = text.replace(reference, (whole: string, inner: string | undefined) => {
    if (whole === '$${') return '${'
    if (work.budget.references-- === 0) return refuse(work, `more than ${maxReferences} references in one file`)
    if (work.budget.references < 0) return ''
    if (!whole.endsWith('}'))
      return refuse(work, '`${` is not closed by `}`', 'For the characters themselves write $${.')
    const meta = metaReference.exec(inner ?? '')?.[1]
    return meta === undefined ? variableValue(inner ?? '', work) : metaValue(meta, work, within)
  })
  return replaced.length <= maxLength ? replaced : refuse(work, 'longer than 64 KiB')
}

function variableValue(inner: string, work: Work): string {
  const [, name, fallback] = variable.exec(inner) ?? []
  if (name === undefined) {
    const hint = 'Write ${NAME}, ${NAME:-default} or ${meta.a.b}; for the characters themselves $${.'
    return refuse(work, '`${…}` holds no name', hint)
  }
  const found = work.lookups.environment(name)
  if (found !== undefined) work.used.set(name, found)
  if (fallback !== undefined) return found === undefined || found === '' ? fallback : found
  return found ?? refuse(work, `the environment has no ${name}`, `Set it, or give a default: \${${name}:-default}`)
}

function metaValue(name: string, work: Work, within: readonly string[]): string {
  if (within.includes(name)) return refuse(work, `meta.${name} refers to itself`)
  if (within.length >= maxChain)
    return refuse(work, `more than ${maxChain} values of meta refer to each other in a row`)
  const value = name.split('.').reduce<unknown>(property, work.lookups.meta)
  if (typeof value === 'string') return replaceIn(value, work, [...within, name])
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return refuse(work, value === undefined ? `there is no meta.${name}` : `meta.${name} is no plain value`)
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined
}

function refuse(work: Work, message: string, hint?: string): string {
  work.report(hint === undefined ? { message } : { message, hint })
  return ''
}
