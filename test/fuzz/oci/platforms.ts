import fc from 'fast-check'
import { ConfigError } from '../../../src/lib/errors.ts'
import { selectPlatform } from '../../../src/oci/manifest.ts'
import { ociIndex, ociManifest } from '../../../src/oci/media.ts'
import { parsePlatform } from '../../../src/oci/platform.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'
import { digest } from './manifests.ts'

/** Each with the way in which it is usually written. */
const systems: [written: string, usual: string][] = [
  ['linux', 'linux'],
  ['Linux', 'linux'],
  ['windows', 'windows'],
  ['unknown', 'unknown'],
]
const architectures: [written: string, usual: string][] = [
  ['amd64', 'amd64'],
  ['x86_64', 'amd64'],
  ['AMD64', 'amd64'],
  ['arm64', 'arm64'],
  ['AArch64', 'arm64'],
  ['arm', 'arm'],
  ['unknown', 'unknown'],
]
const usualVariants: Record<string, string> = { amd64: 'v1', arm64: 'v8', arm: 'v7' }
const machines = fc.tuple(
  fc.constantFrom(...systems),
  fc.constantFrom(...architectures),
  fc.constantFrom(undefined, undefined, 'v1', 'v7', 'v8'),
)
type Machine = [os: [string, string], architecture: [string, string], variant: string | undefined]

/** The higher, the better does the offered one do for the wanted one; 0 does not do at all. */
function fitness([os, architecture, variant]: Machine, wanted: Machine): number {
  const isAttestation = os[1] === 'unknown' && architecture[1] === 'unknown'
  if (isAttestation || os[1] !== wanted[0][1] || architecture[1] !== wanted[1][1]) return 0
  const usual = usualVariants[architecture[1]]
  if (wanted[2] === undefined) return variant === undefined ? 3 : variant === usual ? 2 : 1
  return variant === wanted[2] ? 2 : variant === undefined && wanted[2] === usual ? 1 : 0
}

export const platformProperties = [
  property(
    'platforms',
    hostileText(fc.constantFrom('linux/amd64', 'linux/arm/v7', 'Linux/x86_64', 'windows/arm64/v8'), [
      '/',
      'linux',
      'aarch64',
      'constructor',
      '__proto__',
    ]),
    (text) => {
      const platform = outcome(() => parsePlatform(text), ConfigError)
      if (platform === undefined) return
      const { os, architecture, variant } = platform
      ok(
        typeof os === 'string' &&
          typeof architecture === 'string' &&
          os !== '' &&
          architecture !== '' &&
          variant !== '',
      )
      same(parsePlatform([os, architecture, ...(variant === undefined ? [] : [variant])].join('/')), platform)
    },
  ),
  property(
    'the member for a platform',
    fc.tuple(fc.array(machines, { maxLength: 5 }), machines),
    ([offered, wanted]) => {
      const members = offered.map(([os, architecture, variant], at) => ({
        mediaType: ociManifest,
        digest,
        size: at,
        platform: { os: os[0], architecture: architecture[0], ...(variant !== undefined && { variant }) },
      }))
      const best = Math.max(0, ...offered.map((one) => fitness(one, wanted)))
      const expected = best === 0 ? undefined : offered.findIndex((one) => fitness(one, wanted) === best)
      const text = [wanted[0][0], wanted[1][0], ...(wanted[2] === undefined ? [] : [wanted[2]])].join('/')
      same(selectPlatform({ kind: 'index', mediaType: ociIndex, manifests: members }, text)?.size, expected)
    },
  ),
  property(
    'a member for no platform',
    fc.tuple(
      fc.array(fc.constantFrom({ os: 'unknown', architecture: 'unknown' }, undefined, { os: '', architecture: '' }), {
        maxLength: 3,
      }),
      fc.constantFrom('linux/amd64', 'windows/arm64/v8'),
    ),
    ([list, wanted]) => {
      const manifests = list.map((platform, size) => ({
        mediaType: ociManifest,
        digest,
        size,
        ...(platform && { platform }),
      }))
      const open = manifests.filter(({ platform }) => platform?.os !== 'unknown')
      same(
        selectPlatform({ kind: 'index', mediaType: ociIndex, manifests }, wanted),
        open.length === 1 ? open[0] : undefined,
      )
    },
  ),
]
