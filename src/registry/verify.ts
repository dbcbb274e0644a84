import type { Content } from '../content/content.ts'
import { isCorrupt } from '../content/damage.ts'
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { CatalogState } from '../state/state.ts'
import type { Registry } from './types.ts'

/** One blob that is not as it should be. */
export interface Finding {
  digest: Digest
  /** Its bytes hash to something else; the catalog names it and it is not there; it has another size than the catalog says. */
  kind: 'damaged' | 'missing' | 'wrong_size'
  /** For a person. */
  message: string
}

export interface Verified {
  /** Hashed. */
  blobs: number
  bytes: number
  /** How many are not as they should be … */
  found: number
  /** … and which: at most `maxFindings`. */
  findings: Finding[]
}

export interface VerifyOptions {
  signal?: AbortSignal
  /** Called after each blob, with what was hashed so far. */
  progress?: (seen: { blobs: number; bytes: number }) => void
  /** Nobody else wants the disk and the processor. */
  isAlone?: boolean
}

interface Parts {
  content: Content
  catalog: CatalogState
  registry: Pick<Registry, 'discard'>
  clock: Clock
}

export const maxFindings = 10_000
const pageLength = 1_000
/** Worked for so long, it rests for as long. */
const workMs = 20

/**
 * Looks at every blob there is, and at every one that the catalog names. What is damaged is taken away: whoever asks for it is told
 * that it is not here, and it can come again. What nobody names is no finding: collection takes it. No collection may run meanwhile.
 */
export async function verifyContent(parts: Parts, options: VerifyOptions = {}): Promise<Verified> {
  const verified: Verified = { blobs: 0, bytes: 0, found: 0, findings: [] }
  const seen = new Set<Digest>()
  const note = (finding: Finding) => {
    // What was taken away as damaged is not missing besides.
    if (seen.has(finding.digest)) return
    seen.add(finding.digest)
    verified.found++
    if (verified.findings.length < maxFindings) verified.findings.push(finding)
  }
  await verifyBlobs(parts, options, verified, note)
  await compareCatalog(parts, options, note)
  return verified
}

async function verifyBlobs(
  { content, registry, clock }: Parts,
  { signal, progress, isAlone = false }: VerifyOptions,
  verified: Verified,
  note: (finding: Finding) => void,
): Promise<void> {
  let since = clock.monotonic()
  for await (const { digest, size } of content.list()) {
    signal?.throwIfAborted()
    if (!(await isRight(content, digest, signal))) {
      const what = `the ${size} bytes stored as ${digest}`
      const isGone = await registry.discard(digest)
      const message = isGone
        ? `${what} hash to something else: they were taken away`
        : `${what} were read wrong, and right when they were read again: look at the disk, and at the memory`
      note({ digest, kind: 'damaged', message })
    }
    verified.blobs++
    verified.bytes += size
    progress?.({ blobs: verified.blobs, bytes: verified.bytes })
    const took = clock.monotonic() - since
    if (isAlone || took < workMs) continue
    await clock.sleep(took, signal)
    since = clock.monotonic()
  }
}

/** Whether it is missed, where it went meanwhile, is for the catalog to say. */
async function isRight(content: Content, digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    return await content.verify(digest, signal)
  } catch (error) {
    if (isCorrupt(error) && (await content.stat(digest)) === undefined) return true
    throw error
  }
}

async function compareCatalog(
  { content, catalog, registry }: Parts,
  { signal }: VerifyOptions,
  note: (finding: Finding) => void,
): Promise<void> {
  let after = ''
  for (;;) {
    signal?.throwIfAborted()
    const page = await catalog.digests({ after, limit: pageLength })
    for (const { digest, size } of page) {
      const stored = await content.stat(digest)
      if (stored === undefined) {
        // It may be in memory still.
        await registry.discard(digest)
        note({ digest, kind: 'missing', message: `${digest} is in the catalog, but its bytes are gone` })
      } else if (stored.size !== size) {
        const message = `${digest} has ${stored.size} bytes, the catalog says ${size}`
        note({ digest, kind: 'wrong_size', message })
      }
    }
    if (page.length < pageLength) return
    after = page.at(-1)!.digest
  }
}
