import fc from 'fast-check'
import { packageOf, showPackage } from '../../../src/opa/rego.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'
import { name } from './manifest.ts'

export const packages = fc
  .tuple(name, fc.array(fc.string({ unit: 'grapheme', maxLength: 5 }), { maxLength: 3 }))
  .map(([first, rest]) => [first, ...rest])
const gaps = fc
  .array(fc.constantFrom(' ', '\t', '\n', '\r\n', '# package no\n', '#\n'), { maxLength: 4 })
  .map((parts) => parts.join(''))
const sources = fc
  .tuple(gaps, packages)
  .map(([before, path]) => `${before}package ${showPackage(path)}\n\nallow := true\n`)
const regoTokens = [
  'package',
  'package a',
  '\n',
  '#',
  '["',
  '"]',
  '[`',
  '`]',
  '.',
  '\\',
  '\\u',
  ' ',
  '\ufeff',
  'import data.a',
]

export const regoProperties = [
  property(
    'a package that was written',
    fc.tuple(
      gaps,
      packages,
      fc.constantFrom(' ', '\t', '\n', '\n\n \n', ' \n'),
      fc.constantFrom('', '\n', '\nallow := true\n', ' # yes'),
    ),
    ([before, path, gap, after]) => {
      // Rego's strings are JSON's, without lone surrogates.
      same(packageOf(`${before}package${gap}${showPackage(path)}${after}`), path)
    },
  ),
  property('packages', hostileText(sources, regoTokens), (source) => {
    const path = packageOf(source)
    if (path === undefined) return
    ok(path.length > 0 && path.every((part) => typeof part === 'string') && source.includes('package'))
    same(packageOf(`package ${showPackage(path)}`), path)
  }),
  property('long packages', pumped(sources, [...regoTokens, '#a', ' \n', '\n ', 'a.', '["a"]', '[   ']), (text) => {
    packageOf(text)
    packageOf(`package${text}`)
    packageOf(`package a${text}`)
  }),
]
