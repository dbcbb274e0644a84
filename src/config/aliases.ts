import type { PlacedProblem } from './issues.ts'
import type { CheckedConfig } from './schema.ts'

/** Each of these, and everything below it, has its own meaning. */
const routes = [
  '/v1/bundles',
  '/v1/webhooks',
  '/v2',
  '/api',
  '/metrics',
  '/health',
  '/ping',
  '/repos',
  '/tags',
  '/debug',
  '/status',
]

/** An alias must not hide a route, nor a bundle, nor another alias. */
export function checkAliases(bundles: CheckedConfig['bundles']): PlacedProblem[] {
  const names = Object.keys(bundles)
  const owners = new Map<string, string>()
  return Object.entries(bundles).flatMap(([name, { aliases }]) =>
    aliases.flatMap((alias, index) => {
      const path = ['bundles', name, 'aliases', index]
      const owner = owners.get(alias)
      owners.set(alias, name)
      if (owner !== undefined) return [{ path, message: `\`${alias}\` is an alias of bundle \`${owner}\` already` }]
      const hidden = hiddenBy(alias, names)
      return hidden === undefined ? [] : [{ path, message: `\`${alias}\` would hide ${hidden}` }]
    }),
  )
}

function hiddenBy(alias: string, names: readonly string[]): string | undefined {
  const segments = alias.split('/')
  if (segments.includes('.') || segments.includes('..')) return 'another path: clients take `.` and `..` out'
  const route = routes.find((prefix) => alias === prefix || alias.startsWith(`${prefix}/`))
  if (route !== undefined) return `the route ${route}`
  const name = names.find((bundle) => [`/bundles/${bundle}`, `/bundles/${bundle}.tar.gz`].includes(alias))
  if (name !== undefined) return `the bundle \`${name}\``
  return alias.startsWith('/bundles/') && alias.includes('@') ? 'a release by its digest' : undefined
}
