// What others had to publish must not happen here: each advisory is named by a test that would fail if it did.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')

const advisories = [
  ['CVE-2020-15157', 'credentials for whoever a descriptor or a redirect names'],
  ['CVE-2021-41190', 'the same bytes read as an index and as an image'],
  ['CVE-2024-3727', 'a digest that is none in a URL or a path'],
  ['GHSA-8xwf-rjm4-xvhv', 'unpacking through a link that is there already'],
  ['GHSA-fxhp-mv3v-67qp', 'a hard link whose target is resolved elsewhere'],
  ['GHSA-h3wm-jjqf-8jm2', 'credentials and client certificates taken along by a redirect'],
  ['GHSA-m37j-52j7-pjw7', 'a chain of symbolic links'],
  ['GHSA-whvf-jp7m-59f3', 'credentials taken to the Location of an upload'],
] as const

describe('advisories', () => {
  const names = testFiles().flatMap((path) => namesIn(path, readFileSync(path, 'utf8')))

  it.each(advisories)('%s: %s, is the name of a test', (advisory) => {
    expect(names.filter((name) => name.includes(advisory))).not.toEqual([])
  })
})

describe('names of tests', () => {
  it.each([
    ['a name', "it('holds (CVE-1)', () => {})", ['holds (CVE-1)']],
    ['a row of a table', "it.each([['CVE-1', 2]])('%s', () => {})", ['CVE-1', '%s']],
    ['a test that takes time', "it('CVE-1', () => {}, 5)", ['CVE-1']],
    ['a name in a group', "describe('x', () => { it('CVE-1', () => {}) })", ['CVE-1']],
  ])('are found in %s', (_what, text, expected) => {
    expect(namesIn('x.ts', text)).toEqual(expected)
  })

  it.each([
    ['a comment', '// CVE-1'],
    ['the body of a test', "it('x', () => { f('CVE-1') })"],
    ['a group without a test', "describe('CVE-1', () => {})"],
    ['a test that is skipped', "it.skip('CVE-1', () => {})"],
    ['a test to be written', "it.todo('CVE-1')"],
  ])('are not found in %s', (_what, text) => {
    expect(namesIn('x.ts', text).filter((name) => name.includes('CVE-1'))).toEqual([])
  })
})

function testFiles(): string[] {
  const own = import.meta.filename
  return readdirSync(root, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path !== own)
}

/** Of tests that run: the text of each, and of its table. */
function namesIn(path: string, text: string): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression)) found.push(...node.arguments.flatMap(textsOf))
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true))
  return found.toSorted((a, b) => text.indexOf(a) - text.indexOf(b))
}

/** `it`, `it.each`, and what `it.each(…)` gives. */
function isTest(called: ts.Expression): boolean {
  if (ts.isIdentifier(called)) return called.text === 'it' || called.text === 'test'
  if (ts.isCallExpression(called)) return isTest(called.expression)
  return ts.isPropertyAccessExpression(called) && called.name.text === 'each' && isTest(called.expression)
}

/** Texts as they stand, also within lists: not in functions, nor in what is called. */
function textsOf(node: ts.Node): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text]
  return ts.isArrayLiteralExpression(node) ? node.elements.flatMap(textsOf) : []
}
