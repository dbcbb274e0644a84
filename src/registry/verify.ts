import type { Content } from '../content/content.ts'
import { isCorrupt } from '../content/damage.ts'
import type { Digest } from '../oci/digest.ts'
import type { CatalogState } from '../state/state.ts'

/** One blob that is not as it should be. */
export interface Finding {
  digest: Digest
  /** Its bytes hash to something else; the catalog names it and it is not there; it has another size than the catalog says. */
  kind: 'damaged' | 'missing' | 'wrong_size'
  /** For a person. */
  message: string
}

const pageLength = 1_000

/** Looks at every blob there is, and at every one that the catalog names. What nobody names is no finding: collection takes it. */
export async function* verifyContent({
  content,
  catalog,
  signal,
}: {
  content: Content
  catalog: CatalogState
  signal?: AbortSignal
}): AsyncIterable<Finding> {
  yield* verifyBlobs(content, signal)
  yield* compareCatalog(content, catalog, signal)
}

async function* verifyBlobs(content: Content, signal: AbortSignal | undefined): AsyncIterable<Finding> {
  for await (const { digest, size } of content.list()) {
    signal?.throwIfAborted()
    if (await isRight(content, digest, signal)) continue
    yield { digest, kind: 'damaged', message: `the ${size} bytes stored as ${digest} hash to something else` }
  }
}

/** One that is collected meanwhile is no finding; whether it is missed is for the catalog to say. */
async function isRight(content: Content, digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    return await content.verify(digest, signal)
  } catch (error) {
    if (isCorrupt(error) && (await content.stat(digest)) === undefined) return true
    throw error
  }
}

async function* compareCatalog(
  content: Content,
  catalog: CatalogState,
  signal: AbortSignal | undefined,
): AsyncIterable<Finding> {
  let after = ''
  for (;;) {
    signal?.throwIfAborted()
    const page = await catalog.digests({ after, limit: pageLength })
    for (const { digest, size } of page) {
      const stored = await content.stat(digest)
      if (stored === undefined) {
        yield { digest, kind: 'missing', message: `${digest} is in the catalog, but its bytes are gone` }
      } else if (stored.size !== size) {
        const message = `${digest} has ${stored.size} bytes, the catalog says ${size}`
        yield { digest, kind: 'wrong_size', message }
      }
    }
    if (page.length < pageLength) return
    after = page.at(-1)!.digest
  }
}
