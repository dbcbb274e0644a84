import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

export interface GoComponent {
  from: 'go'
  binary: string
  cgo?: boolean
}
export interface DebianComponent {
  from: 'debian'
  package: string
  path: string
}
export type Component = GoComponent | DebianComponent

// The order is the order of building: what is quick to build can be used first. A new Go tool is a line here and a
// folder with a go.mod whose `tool` line names its package.
export const components = {
  'docker-registry': { from: 'debian', package: 'docker-registry', path: '/usr/bin/docker-registry' },
  skopeo: { from: 'debian', package: 'skopeo', path: '/usr/bin/skopeo' },
  buildah: { from: 'debian', package: 'buildah', path: '/usr/bin/buildah' },
  podman: { from: 'debian', package: 'podman', path: '/usr/bin/podman' },
  strace: { from: 'debian', package: 'strace', path: '/usr/bin/strace' },
  nginx: { from: 'debian', package: 'nginx-light', path: '/usr/sbin/nginx' },
  wrk: { from: 'debian', package: 'wrk', path: '/usr/bin/wrk' },
  postgresql: { from: 'debian', package: 'postgresql', path: '/usr/lib/postgresql/15/bin/postgres' },
  olareg: { from: 'go', binary: 'olareg' },
  oras: { from: 'go', binary: 'oras' },
  regctl: { from: 'go', binary: 'regctl' },
  crane: { from: 'go', binary: 'crane' },
  distribution: { from: 'go', binary: 'registry' },
  'opa-1.22.0': { from: 'go', binary: 'opa' },
  'opa-1.17.1': { from: 'go', binary: 'opa' },
  'opa-1.16.2': { from: 'go', binary: 'opa' },
  conftest: { from: 'go', binary: 'conftest' },
  coredns: { from: 'go', binary: 'coredns' },
  nomad: { from: 'go', binary: 'nomad', cgo: true },
} as const satisfies Record<string, Component>

export type ComponentName = keyof typeof components

export const componentNames = Object.keys(components) as ComponentName[]

const benchOnly: readonly ComponentName[] = ['nginx', 'wrk']

/** What tests need; benches bring the rest themselves. */
export const testComponentNames = componentNames.filter((name) => !benchOnly.includes(name))

export function isComponentName(word: string): word is ComponentName {
  return Object.hasOwn(components, word)
}

export function describeComponent(name: ComponentName): Component {
  return components[name]
}

export function moduleFolder(name: ComponentName): string {
  return join(import.meta.dirname, '../../test/components/go', name)
}

export function cacheFolder(): string {
  const base = process.env.LONGSHORE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'longshore')
  return join(base, 'components')
}

/** Where the component's binary is, or will be once it was brought. Throws where that cannot be told: without Go. */
export function expectedPath(name: ComponentName): string {
  const component = describeComponent(name)
  if (component.from === 'debian') return component.path
  return join(cacheFolder(), `${name}-${recipeHash(name, component)}`, component.binary)
}

export function isThere(name: ComponentName): boolean {
  return (describeComponent(name).from === 'debian' || goVersion() !== undefined) && existsSync(expectedPath(name))
}

/** What decides the bytes of the binary, so that a changed version is built anew and an old one is never taken for it. */
function recipeHash(name: ComponentName, component: GoComponent): string {
  const version = goVersion()
  if (version === undefined)
    throw new Error(`${name} is built with Go, and there is no \`go\` in PATH: install Go 1.26`)
  const hash = createHash('sha256').update(JSON.stringify({ version, platform: process.platform, ...component }))
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(moduleFolder(name), file)))
  return hash.digest('hex').slice(0, 16)
}

let knownGoVersion: string | undefined

/** GOVERSION is the toolchain's, GOARCH what it builds for. Undefined without Go. */
export function goVersion(): string | undefined {
  knownGoVersion ??= askGoVersion()
  return knownGoVersion
}

function askGoVersion(): string | undefined {
  try {
    return execFileSync('go', ['env', 'GOVERSION', 'GOARCH'], { encoding: 'utf8', cwd: '/' }).trim().replace('\n', ' ')
  } catch {
    return undefined
  }
}
