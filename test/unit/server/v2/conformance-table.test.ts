import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { distributionChecks } from '../../../conformance/distribution/checks.ts'

const document = readFileSync(join(import.meta.dirname, '../../../../docs/conformance.md'), 'utf8')
const names = new Set([...distributionChecks.map((check) => check.name), ...unitTests()])

interface Row {
  level: string
  who: string
  what: string
  tests: string[]
}

function unitTests(): string[] {
  return readdirSync(import.meta.dirname).flatMap((file) => {
    const source = readFileSync(join(import.meta.dirname, file), 'utf8')
    return [...source.matchAll(/\bit\('([^'\n]+)'/g)].map((match) => match[1]!)
  })
}

function rows(): Row[] {
  return document
    .split('\n')
    .filter((line) => /^\| .* \| (?:1\.1|main) +\|/.test(line))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim())
      const [, , , level, who, what, tests] = cells as [string, string, string, string, string, string, string]
      return { level, who, what, tests: namesIn(tests) }
    })
}

function namesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)
}

describe('the table of the distribution specification', () => {
  it('has rows of every level, each complete', () => {
    expect(rows().length).toBeGreaterThan(120)
    for (const row of rows()) {
      expect(row.level, row.what).toMatch(/^(?:MUST|SHOULD)(?: NOT)?$/)
      expect(row.who, row.what).toMatch(/^(?:registry|client|n\/a)$/)
    }
  })

  it('names only tests that there are', () => {
    const named = rows().flatMap((row) => row.tests)
    expect(named.filter((name) => !names.has(name))).toEqual([])
  })

  it('has a test for each sentence to the registry: none is unmapped', () => {
    const unmapped = rows().filter((row) => row.who === 'registry' && row.tests.length === 0)
    expect(unmapped.map((row) => `${row.level}: ${row.what}`)).toEqual([])
  })

  it('and the list after it name every check of the suite', () => {
    const named = new Set(namesIn(document))
    expect(distributionChecks.map((check) => check.name).filter((name) => !named.has(name))).toEqual([])
  })

  it('is about checks whose names differ', () => {
    expect(new Set(distributionChecks.map((check) => check.name)).size).toBe(distributionChecks.length)
  })
})
