import { parseVersion } from '../../lib/version.ts'
import type { Release } from '../../model/release.ts'
import type { Digest } from '../../oci/digest.ts'
import { isTag } from '../../oci/reference.ts'
import { tagOf } from '../../oci/tag.ts'
import { fill, unknownWord, wordsIn } from '../../lib/template.ts'

const always = ['version', 'digest', 'release', 'bundle'] as const
/** Only a version that has three numbers, and is no prerelease, has these. */
const ofVersions = ['major', 'minor', 'patch'] as const
export const tagWords = [...always, ...ofVersions]

/** What is wrong with a template of a tag; undefined where nothing is. */
export function whyNoTag(template: string): string | undefined {
  const sample = Object.fromEntries(tagWords.map((word) => [word, 'v']))
  if (unknownWord(template, tagWords) !== undefined) return unknownWord(template, tagWords)
  return isTag(fill(template, sample)) ? undefined : 'expected a tag such as latest, prod-{version} or {major}.{minor}'
}

/** Whether every release has this tag. */
export function isForAll(template: string): boolean {
  return wordsIn(template).every((word) => !(ofVersions as readonly string[]).includes(word))
}

/** The tags of a release that goes there under `digest`; what it has no numbers for is left out. */
export function tagsOf(templates: readonly string[], { version, number, bundle }: Release, digest: Digest): string[] {
  const parsed = parseVersion(version)
  const numbers = parsed?.prerelease.length === 0 ? parsed : undefined
  const words = {
    ...{ version: tagOf(version), digest: tagOf(digest), release: String(number), bundle: tagOf(bundle) },
    ...(numbers && { major: String(numbers.major), minor: String(numbers.minor), patch: String(numbers.patch) }),
  }
  const fitting = templates.filter((template) => numbers !== undefined || isForAll(template))
  return [...new Set(fitting.map((template) => tagOf(fill(template, words))))]
}
