/** What a path of the registry watcher's means; `name` is a bundle's, which may hold slashes. */
export type WatcherPath =
  { kind: 'repos' } | { kind: 'caches' } | { kind: 'tag'; name: string } | { kind: 'reset'; name: string }

const tags = '/tags/'
const reset = '/reset'

/** Undefined where the path is none of the registry watcher's. */
export function parseWatcherPath(path: string): WatcherPath | undefined {
  if (path === '/repos') return { kind: 'repos' }
  if (path === '/debug/caches') return { kind: 'caches' }
  if (!path.startsWith(tags)) return undefined
  const rest = path.slice(tags.length)
  if (rest.endsWith(reset)) return { kind: 'reset', name: decode(rest.slice(0, -reset.length)) }
  return { kind: 'tag', name: decode(rest) }
}

export function isWatcherPath(path: string): boolean {
  return path === '/repos' || path === '/debug/caches' || path.startsWith(tags)
}

/** As it is where it cannot be meant: no bundle has such a name. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
