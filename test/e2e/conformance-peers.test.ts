import { expect, test } from 'vitest'
import { failingChecks } from '../conformance/distribution/check.ts'
import { distributionChecks } from '../conformance/distribution/checks.ts'
import { needs } from '../support/components.ts'
import { startDistributionV3, startOlareg } from '../support/registries.ts'

// A suite that finds nothing anywhere would prove nothing. What these two fail is named, so that a change on either side shows.

const knownOfDistribution = [
  // It minds Accept.
  'a manifest is pulled without Accept',
  'a manifest is pulled whatever Accept names',
  // It knows sha256 alone.
  'a blob with a sha512 digest is pulled',
  'a manifest with a sha512 digest is pulled',
  'a mount, sha512',
  'a pushed blob answers with the digest that was given, sha512',
  'a pushed manifest answers with the digest that was given, sha512',
  // It opens a session for every POST.
  'a single POST stores the blob, sha256',
  'a single POST stores the blob, sha512',
  'a wrong digest with a single POST is 400, sha256',
  'a wrong digest with a single POST is 400, sha512',
  'a digest of an unknown algorithm is 400',
  'a mount finds the blob without being told where',
  // It mistakes what is wrong.
  'a Content-Range that is not FIRST-LAST is refused',
  'a manifest beyond the limit is 413',
  'layers that may not be distributed need not be there',
  'a repository without tags has an empty list',
  // It has no tags in the query.
  'tags in the query of a push by digest are set, and named by OCI-Tag',
  'tags in the query of a push by digest are set, sha512',
  'ten tags in the query are accepted',
  // It has no referrers API.
  'a manifest with a subject is answered with OCI-Subject',
  'an index with a subject is answered with OCI-Subject',
  'referrers are an index of what names the digest as its subject',
  'referrers of what nobody refers to are an empty index, never 404',
  'referrers in a repository that does not exist are an empty index, never 404',
  'referrers of a malformed digest are 400',
  "a referrer's artifactType is its own",
  "a referring image without artifactType has its config's type",
  'a referring index without artifactType has none',
  "a referring index's artifactType is its own",
  "a referrer's annotations are listed",
  'referrers are filtered by artifactType, and the answer says so',
  "the filter takes a config's type too",
  'a filter that nothing matches gives an empty index',
  'an answer without a filter does not claim one',
  'referrers may come before their subject',
  'referrers of another repository are not listed',
  'a deleted referrer is not listed',
  'referrers that do not fit in one answer come with Link',
]

const knownOfOlareg = [
  // It minds Accept.
  'a manifest is pulled without Accept',
  'a manifest is pulled whatever Accept names',
  // It does not tell the digest of a blob that was pushed.
  'a mount, sha256',
  'a mount, sha512',
  'a pushed blob answers with the digest that was given, sha256',
  'a pushed blob answers with the digest that was given, sha512',
  // It is lax with chunks and sessions.
  'a Content-Range that is not FIRST-LAST is refused',
  'a Content-Range that is not as long as the body is refused',
  'an upload that nobody started is 404',
  'a cancelled upload is 204, and then it is gone',
  'a mount finds the blob without being told where',
  // It mistakes what is wrong.
  'a manifest whose mediaType is not its Content-Type is refused',
  'layers that may not be distributed need not be there',
  'an index can be deleted, and then its members',
  'repositories are listed, page by page',
  'errors are JSON in the form of the specification, with its codes',
  // It has no tags in the query.
  'tags in the query of a push by digest are set, and named by OCI-Tag',
  'tags in the query of a push by digest are set, sha512',
  'ten tags in the query are accepted',
  // It takes any name for a repository, and panics when n is 0.
  'the tags of a repository that does not exist are 404',
  'n=0 lists nothing, without Link',
  // Its empty index has null for a list.
  'referrers of what nobody refers to are an empty index, never 404',
  'referrers in a repository that does not exist are an empty index, never 404',
  'referrers of another repository are not listed',
  'referrers of a malformed digest are 400',
]

const peers = [
  { name: 'distribution', start: startDistributionV3, known: knownOfDistribution },
  { name: 'olareg', start: startOlareg, known: knownOfOlareg },
] as const

for (const { name, start, known } of peers) {
  needs(name)(name, () => {
    test('fails the checks that it is known to fail, and no others', async () => {
      const registry = await start({ allowDelete: true })
      const failing = await failingChecks(distributionChecks, registry)
      expect(failing.map((check) => check.name).sort()).toEqual([...known].sort())
    })
  })
}
