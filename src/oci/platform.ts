import { ConfigError } from '../lib/errors.ts'
import type { IndexManifest } from './manifest.ts'
import type { Descriptor, Platform } from './target.ts'

const otherNames = new Map([
  ['x86_64', 'amd64'],
  ['x86-64', 'amd64'],
  ['aarch64', 'arm64'],
  ['i386', '386'],
  ['armhf', 'arm'],
])
/** What an architecture means when no variant is named. https://github.com/containerd/platforms */
const defaultVariants = new Map([
  ['arm64', 'v8'],
  ['arm', 'v7'],
  ['amd64', 'v1'],
])

/** `linux/amd64`, `linux/arm/v7`. Throws ConfigError. */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.toLowerCase().split('/')
  if (!os || !architecture || variant === '' || rest.length > 0) {
    throw new ConfigError(`not a platform: "${text}"`, {
      hint: 'Write it as os/architecture, such as linux/amd64 or linux/arm/v7.',
    })
  }
  return { os, architecture: canonicalArchitecture(architecture), ...(variant === undefined ? {} : { variant }) }
}

/**
 * The member of an index that is meant for `platform`, such as `linux/amd64`; undefined when there is none. Attestations
 * (`unknown/unknown`) never count. A single member that names no platform is for all of them: that is how tools index artifacts.
 */
export function selectPlatform(index: IndexManifest, platform: string): Descriptor | undefined {
  const wanted = parsePlatform(platform)
  const members = index.manifests.filter((member) => !isAttestation(member))
  const matching = members.filter(({ platform: offered }) => offered !== undefined && sameMachine(offered, wanted))
  const byVariant = (variant: string | undefined) => matching.find((member) => member.platform?.variant === variant)
  const usual = defaultVariants.get(wanted.architecture)
  const found =
    wanted.variant === undefined
      ? (byVariant(undefined) ?? byVariant(usual) ?? matching[0])
      : (byVariant(wanted.variant) ?? (wanted.variant === usual ? byVariant(undefined) : undefined))
  if (found !== undefined) return found
  return members.length === 1 && !namesPlatform(members[0]!) ? members[0] : undefined
}

/** Buildkit puts provenance and SBOMs next to the images they speak of. */
export function isAttestation(member: Descriptor): boolean {
  const { os, architecture } = member.platform ?? {}
  return (
    (os === 'unknown' && architecture === 'unknown') ||
    member.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest'
  )
}

function sameMachine({ os, architecture }: Platform, wanted: Platform): boolean {
  return os.toLowerCase() === wanted.os && canonicalArchitecture(architecture.toLowerCase()) === wanted.architecture
}

function canonicalArchitecture(name: string): string {
  return otherNames.get(name) ?? name
}

function namesPlatform(member: Descriptor): boolean {
  return Boolean(member.platform?.os) || Boolean(member.platform?.architecture)
}
