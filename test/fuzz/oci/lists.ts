import fc from 'fast-check'
import { nextLink } from '../../../src/oci/link.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'
import { value } from './challenges.ts'

interface Written {
  target: string
  parameters: [name: string, text: string][]
}
const linkNames = fc.constantFrom('rel', 'title', 'REL', 'anchor', 'type')
const links = fc.array(
  fc.record<Written>({
    target: fc.stringMatching(/^(?:\/[a-z0-9._%~-]{1,6}){1,3}$/).map((path) => `/v2${path}?n=1&last=a`),
    parameters: fc.array(
      fc.tuple(
        linkNames,
        fc.oneof(
          fc.constantFrom('next', 'prev', 'NEXT', 'last Next', 'next last', 'x; rel=next', '</v2/y>; rel=next'),
          value.map((text) => text.replace(/["\\]/g, '')),
        ),
      ),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 3 },
)
const writeLink = ({ target, parameters }: Written) =>
  `<${target}>${parameters.map(([name, text]) => `; ${name}="${text}"`).join('')}`
const headers = links.map((list) => list.map(writeLink).join(', '))
const linkTokens = ['<', '>', '; rel=next', '; rel="next"', 'rel', ', ', ';', '"', '=']

export const listProperties = [
  property('Link that was written', links, (list) => {
    const next = list.find(({ parameters }) =>
      parameters
        .find(([name]) => name.toLowerCase() === 'rel')?.[1]
        .toLowerCase()
        .split(' ')
        .includes('next'),
    )
    same(nextLink([list.map(writeLink).join(', ')]), next?.target)
  }),
  property('Link', hostileText(headers, linkTokens), (text) => {
    const next = nextLink([text, text])
    ok(next === undefined || text.includes(`<${next}>`))
  }),
  property('long Link', pumped(headers, linkTokens), (text) => void nextLink([text])),
]
