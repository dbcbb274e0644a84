import fc from 'fast-check'
import { fill, unknownWord, wordsIn } from '../../../src/lib/template.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'

const known = { version: '1.2', major: '$&', digest: '{version}' }
const names = fc.constantFrom('version', 'major', 'digest', 'other', 'constructor', '__proto__')
const parts = fc.array(
  fc.oneof(
    names.map((name) => ({ text: `{${name}}`, name })),
    fc.constantFrom('r-', '${version}', '{}', '{1}', '{ version }', '{a-b}', '}').map((text) => ({ text, name: '' })),
  ),
  { maxLength: 6 },
)
const templates = parts.map((list) => list.map(({ text }) => text).join(''))
const tokens = ['{', '}', '$', '${', '{version}', '{{', 'version', '_']

export const templateProperties = [
  property('templates that were written', parts, (list) => {
    const text = list.map((part) => part.text).join('')
    const words = list.flatMap(({ name }) => (name === '' ? [] : [name]))
    const values: Record<string, string> = known
    same(wordsIn(text), words)
    same(
      fill(text, known),
      list.map((part) => (Object.hasOwn(values, part.name) ? values[part.name]! : part.text)).join(''),
    )
    const unknown = words.find((name) => !Object.hasOwn(values, name))
    same(unknownWord(text, Object.keys(known))?.includes(`{${unknown}}`), unknown === undefined ? undefined : true)
  }),
  property('templates', hostileText(templates, tokens), (text) => {
    same(fill(text, {}), text)
    const words = wordsIn(text)
    same(unknownWord(text, words), undefined)
    ok(words.every((name) => text.includes(`{${name}}`) && unknownWord(text, []) !== undefined))
    same(fill(text, Object.fromEntries(words.map((name) => [name, `{${name}}`]))), text)
  }),
  property('long templates', pumped(templates, tokens), (text) => {
    fill(text, known)
    unknownWord(text, ['version'])
  }),
]
