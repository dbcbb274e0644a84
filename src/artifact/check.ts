import { IntegrityError } from '../lib/errors.ts'
import { BundleReader, isRead, type BundleFacts } from '../opa/bundle.ts'
import { compressionOf, readArchive } from './archive.ts'
import { isWhiteout } from './layers.ts'
import type { ArchiveLimits } from './types.ts'

export interface CheckOptions {
  limits: ArchiveLimits
  signal?: AbortSignal | undefined
}

/**
 * Reads an OPA bundle's archive and checks what can be said without compiling Rego. Undefined where its form alone keeps
 * OPA from loading it: it is not gzip, or a layer that takes files of a lower one away. Throws IntegrityError:
 * `bad_archive` and `unsafe_path` for the archive, `bad_bundle` for what OPA would refuse, `unsupported_artifact` when it
 * would find nothing; the file at fault is named.
 */
export async function checkBundle(path: string, options: CheckOptions): Promise<BundleFacts | undefined> {
  if ((await compressionOf(path)) !== 'gzip') return undefined
  const reader = new BundleReader()
  for await (const entry of readArchive(path, { ...options, leadingSlash: 'allow' })) {
    if (isWhiteout(entry.path)) return undefined
    if (entry.type === 'directory') continue
    const bytes = isRead(entry.path) ? Buffer.concat(await Array.fromAsync(entry.content())) : undefined
    reader.add({ ...entry, ...(bytes && { bytes }) })
  }
  const facts = reader.finish()
  refuseEmpty(facts)
  return facts
}

/** Reads the whole archive of plain files, for its soundness alone. */
export async function checkArchive(path: string, options: CheckOptions): Promise<void> {
  for await (const _entry of readArchive(path, { ...options, leadingSlash: 'refuse' }));
}

/** Serving it would take every policy away from whoever loads it. */
export function refuseEmpty({ files, ignored }: BundleFacts): void {
  if (files.length > ignored.length) return
  throw new IntegrityError('unsupported_artifact', 'the bundle holds no file that OPA would load', {
    hint: 'OPA loads *.rego, data.json, data.yaml, policy.wasm, plan.json and .manifest.',
  })
}
