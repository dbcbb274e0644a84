import fc from 'fast-check'
import { isWatcherPath, parseWatcherPath } from '../../../src/server/watcher/path.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { repositories } from '../oci/references.ts'
import { ok, property, same } from '../property.ts'

const paths = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom('/repos', '/debug/caches') },
  {
    weight: 4,
    arbitrary: fc.tuple(repositories, fc.constantFrom('', '/reset')).map(([name, end]) => `/tags/${name}${end}`),
  },
)
const tokens = ['/tags/', '/reset', '/repos', '%2F', '%2f', '%', '%25', '%ff', '/', '?']

export const watcherProperties = [
  property(
    'paths of the registry watcher that were written',
    fc.tuple(
      repositories.filter((name) => !name.endsWith('/reset')),
      fc.boolean(),
      fc.boolean(),
    ),
    ([name, isReset, isEscaped]) => {
      const path = `/tags/${isEscaped ? encodeURIComponent(name) : name}${isReset ? '/reset' : ''}`
      same(parseWatcherPath(path), { kind: isReset ? 'reset' : 'tag', name })
      same([isWatcherPath(path), isWatcherPath(`/v2${path}`), parseWatcherPath(`/v2${path}`)], [true, false, undefined])
    },
  ),
  property('paths of the registry watcher', hostileText(paths, tokens), (path) => {
    const found = parseWatcherPath(path)
    same(found !== undefined, isWatcherPath(path))
    if (found === undefined) return
    if (found.kind === 'repos' || found.kind === 'caches') ok(['/repos', '/debug/caches'].includes(path))
    else {
      ok(path.startsWith('/tags/') && (found.kind === 'reset') === path.slice('/tags/'.length).endsWith('/reset'))
      // What cannot be decoded stays as it is.
      const isPlain = !path.includes('%') || /%(?![0-9a-f]{2})/i.test(path)
      if (isPlain) same(`/tags/${found.name}${found.kind === 'reset' ? '/reset' : ''}`, path)
    }
  }),
  property('long paths of the registry watcher', pumped(paths, tokens), (path) => void parseWatcherPath(path)),
]
