import { ConfigError } from '../lib/errors.ts'
import { isDigest, type Digest } from './digest.ts'

/** Where an artifact is. `digest` beats `tag`; one of them is always there: where neither was written, `tag` is `latest`. */
export interface Reference {
  /** `ghcr.io`, `localhost:5000`, `[::1]:5000`; Docker Hub is always `docker.io`. Lower case. */
  host: string
  repository: string
  tag?: string
  digest?: Digest
}

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests: many clients limit both together. */
const maxNameLength = 255
export const maxTagLength = 128
const hub = 'docker.io'
const hubNames = new Set([hub, 'index.docker.io', 'registry-1.docker.io'])

const nameComponent = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const tagGrammar = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/
const hostLabel = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/
const ipv6 = /^\[[0-9a-f:.]+\]$/

/**
 * Reads a reference by Docker's rules: https://github.com/distribution/reference. `alpine` is
 * `docker.io/library/alpine:latest`; the first component is a host when it is `localhost` or holds a dot or a port.
 * Throws ConfigError.
 */
export function parseReference(text: string): Reference {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
  if (scheme !== null) throw bad(text, 'it begins with a scheme', `Leave out "${scheme[0]}".`)
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !isDigest(digest)) {
    throw bad(
      text,
      'what follows the @ is no digest',
      'A digest is sha256: and 64, or sha512: and 128, lower-case hexadecimal digits.',
    )
  }
  const { name, tag } = splitTag(at === -1 ? text : text.slice(0, at))
  if (tag !== undefined && !isTag(tag)) {
    throw bad(text, `"${tag.slice(0, maxTagLength)}" is no tag`, tagHint)
  }
  const { host, repository } = splitHost(name)
  checkName(text, host, repository)
  const version = { ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
  return { host, repository, ...(tag === undefined && digest === undefined ? { tag: 'latest' } : version) }
}

const tagHint = `A tag has at most ${maxTagLength} letters, digits, "_", "." and "-", and does not begin with "." or "-".`

/** In full: `docker.io/library/alpine:3.20@sha256:…`; reads back as the same. */
export function formatReference({ host, repository, tag, digest }: Reference): string {
  return `${host}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** What to ask the registry for. */
export function versionOf({ tag, digest }: Reference): string {
  return digest ?? tag ?? 'latest'
}

/** The host that is connected to: Docker Hub's name is not where its registry is. */
export function wireHost(host: string): string {
  return host === hub ? 'registry-1.docker.io' : host
}

/** One spelling per registry: lower case, and all names of Docker Hub are `docker.io`. */
export function canonicalHost(host: string): string {
  const lower = host.toLowerCase()
  return hubNames.has(lower) ? hub : lower
}

export function isTag(text: string): boolean {
  return text.length <= maxTagLength && tagGrammar.test(text)
}

export function isRepositoryName(text: string): boolean {
  return text.length <= maxNameLength && text.split('/').every((part) => nameComponent.test(part))
}

/** `host` or `host:port`, IPv6 in brackets. */
export function isHost(text: string): boolean {
  const { hostname, port } = splitPort(text.toLowerCase())
  if (port !== undefined && !(/^[0-9]{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) return false
  if (ipv6.test(hostname)) return URL.canParse(`http://${hostname}`)
  // `0x7f.1` is 127.0.0.1 to a URL, and 1.2.3.400 nothing: what is asked must be what stands there.
  return (
    hostname.split('.').every((label) => hostLabel.test(label)) &&
    URL.parse(`http://${hostname}`)?.hostname === hostname
  )
}

/** Whether `host`, with or without a port, is this machine: plain HTTP is fine there, and nobody from outside may send us there. */
export function isLoopbackHost(host: string): boolean {
  const { hostname } = splitPort(host.toLowerCase())
  const bare = bareAddress(hostname)
  return bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1' || isLoopbackV4(bare)
}

/** Without brackets and the dot at the end, IPv6 in its shortest form; an IPv4 address in IPv6's clothes comes out as what it is. */
export function bareAddress(hostname: string): string {
  const shortest = hostname.startsWith('[') ? URL.parse(`http://${hostname}`)?.hostname : hostname
  const bare = (shortest ?? hostname).replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return bare.startsWith('::ffff:') ? mappedV4(bare.slice(7)) : bare
}

function isLoopbackV4(address: string): boolean {
  const parts = address.split('.')
  return (
    parts.length === 4 && parts[0] === '127' && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
  )
}

/** URLs write `::ffff:127.0.0.1` as `::ffff:7f00:1`. */
function mappedV4(address: string): string {
  const words = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (words === null) return address
  const [high, low] = [parseInt(words[1]!, 16), parseInt(words[2]!, 16)]
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

/** A colon after the last slash begins a tag: one before it, a port. */
function splitTag(text: string): { name: string; tag: string | undefined } {
  const colon = text.lastIndexOf(':')
  if (colon === -1 || text.includes('/', colon)) return { name: text, tag: undefined }
  return { name: text.slice(0, colon), tag: text.slice(colon + 1) }
}

function splitHost(name: string): { host: string; repository: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(0, slash))
  const isHostName = /[.:A-Z]/.test(first) || first === 'localhost'
  const host = slash !== -1 && isHostName ? canonicalHost(first) : hub
  const rest = slash !== -1 && isHostName ? name.slice(slash + 1) : name
  return { host, repository: host === hub && !rest.includes('/') ? `library/${rest}` : rest }
}

function splitPort(host: string): { hostname: string; port: string | undefined } {
  const colon = host.lastIndexOf(':')
  const isPort = colon !== -1 && (host.indexOf(':') === colon || host[colon - 1] === ']')
  return isPort ? { hostname: host.slice(0, colon), port: host.slice(colon + 1) } : { hostname: host, port: undefined }
}

function checkName(text: string, host: string, repository: string): void {
  // Only its capitals make it a host: in lower case, as hosts are written, it would be read as part of a name.
  if (!/[.:]/.test(host) && host !== 'localhost') {
    throw bad(
      text,
      `"${host.slice(0, 100)}" is no repository name, and no host without a port`,
      'Names are lower case; a host without a dot has a port: host:443/repository:tag.',
    )
  }
  if (!isHost(host)) throw bad(text, `"${host.slice(0, 100)}" is no host`, 'Write it as host/repository:tag.')
  if (host.length + 1 + repository.length > maxNameLength) {
    throw bad(text, `host and repository have more than ${maxNameLength} characters`, 'Use a shorter repository name.')
  }
  if (!isRepositoryName(repository)) {
    const lower = repository.toLowerCase()
    const hint =
      lower !== repository && isRepositoryName(lower)
        ? `Repository names are lower case: "${lower}".`
        : 'A repository is lower-case letters and digits, with single ".", "_", "__" or dashes between them, and "/" between its parts.'
    throw bad(text, `"${repository.slice(0, 100)}" is no repository name`, hint)
  }
  if (/^[0-9a-f]{64}$/.test(text))
    throw bad(text, 'it looks like the hexadecimal part of a digest', 'Write repository@sha256:… instead.')
}

function bad(text: string, why: string, hint: string): ConfigError {
  return new ConfigError(`not a reference: ${JSON.stringify(withoutPassword(text).slice(0, 300))}: ${why}`, {
    code: 'bad_reference',
    hint,
  })
}

/** `me:password@ghcr.io/acme/app` is none, but people try. */
function withoutPassword(text: string): string {
  return text.replace(/^((?:[a-z][a-z0-9+.-]*:\/\/)?[^:@/]*):.*@(?!sha(?:256|512):)/i, '$1:***@')
}
