import { describe, expect, it } from 'vitest'
import { packageOf, showDataPath, showPackage } from '../../../src/opa/rego.ts'

describe('the package of a policy', () => {
  it.each([
    ['package a', ['a']],
    ['package a.b.c\n\nallow := true', ['a', 'b', 'c']],
    ['# METADATA\n# title: x\n\npackage a\n', ['a']],
    ['\n\t  # package no\r\n  package\ta.b # yes', ['a', 'b']],
    ['package a["b c"].d["e"]', ['a', 'b c', 'd', 'e']],
    ['package a["b"]\nx["c"] := 1', ['a', 'b']],
    ['package a["\\u0062\\""]', ['a', 'b"']],
    ['package a[`b"c`]', ['a', 'b"c']],
    ['package größe.x_1', ['größe', 'x_1']],
    ['package a.b.\n', ['a', 'b']],
  ])('%j', (source, path) => {
    expect(packageOf(source)).toEqual(path)
  })

  it.each([
    '',
    '# nothing',
    'packages a',
    'allow := true\npackage a',
    'package',
    'package 1a',
    '// package a',
    'Package a',
  ])('%j has none', (source) => {
    expect(packageOf(source)).toBeUndefined()
  })

  it('does not take long for a long comment', () => {
    const source = `${'#\n  \t'.repeat(50_000)}x`
    const before = process.cpuUsage()
    expect(packageOf(source)).toBeUndefined()
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })

  it('is shown as it is written', () => {
    expect(showPackage(['a', 'b', 'c d'])).toBe('a.b["c d"]')
    expect(showDataPath([])).toBe('data')
    expect(showDataPath(['a-b', 'c'])).toBe('data["a-b"].c')
  })
})
