import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createWriteStream } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { buildBundle } from '../artifact/build.ts'
import { summarize } from '../artifact/inspect.ts'
import { defaultLimits } from '../artifact/limits.ts'
import type { BundleSummary } from '../artifact/types.ts'
import type { Descriptor, Source } from '../oci/target.ts'

/** What is in a bundle's archive, or in the bundle that `build` would make of a folder. Throws IntegrityError for what OPA would refuse. */
export async function summarizePath(path: string, signal: AbortSignal): Promise<BundleSummary> {
  if (!(await stat(path)).isDirectory()) return summarize(path, defaultLimits, signal)
  return inScratch(async (scratch) => {
    const output = join(scratch, 'bundle.tar.gz')
    await buildBundle({ dirs: [path], output, signal })
    return summarize(output, defaultLimits, signal)
  })
}

/** The same of a layer somewhere else; `onProgress` is told the bytes that have come. */
export async function summarizeLayer(
  source: Source,
  layer: Descriptor,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (bytes: number) => void },
): Promise<BundleSummary> {
  return inScratch(async (scratch) => {
    const path = join(scratch, 'layer.tar.gz')
    let bytes = 0
    const counted = async function* (): AsyncIterable<Uint8Array> {
      for await (const chunk of source.blob(layer, signal)) {
        bytes += chunk.length
        onProgress(bytes)
        yield chunk
      }
    }
    await pipeline(counted, createWriteStream(path))
    return summarize(path, defaultLimits, signal)
  })
}

async function inScratch<T>(run: (scratch: string) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), 'longshore-inspect-'))
  try {
    return await run(scratch)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
