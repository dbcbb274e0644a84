/** https://distribution.github.io/distribution/spec/auth/scope/ */
export type Action = 'pull' | 'push' | 'delete'

/** `repository:acme/app:pull,push`. */
export function repositoryScope(repository: string, ...actions: Action[]): string {
  return `repository:${repository}:${[...actions].sort().join(',')}`
}

export const catalogScope = 'registry:catalog:*'

/** One scope per resource, with all the actions that any of them names; sorted, so that equal sets are equal. */
export function unionScopes(scopes: readonly string[]): string[] {
  const actions = new Map<string, Set<string>>()
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(':')
    const resource = colon === -1 ? scope : scope.slice(0, colon)
    const known = actions.get(resource) ?? new Set()
    if (colon !== -1) for (const action of scope.slice(colon + 1).split(',')) if (action !== '') known.add(action)
    actions.set(resource, known)
  }
  return [...actions]
    .map(([resource, set]) => (set.size === 0 ? resource : `${resource}:${[...set].sort().join(',')}`))
    .sort()
}

/** A challenge names several with blanks between them. */
export function splitScopes(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((scope) => scope !== '')
}
