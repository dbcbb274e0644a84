import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { systemClock, type Clock } from '../lib/clock.ts'
import { IntegrityError, StorageError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { formatSize } from '../lib/units.ts'
import { algorithmOf, type Algorithm, type Digest } from '../oci/digest.ts'
import { Budget } from './budget.ts'
import { BlobFolder } from './blobs.ts'
import type { BlobInfo, Content, IngestOptions, Partial } from './content.ts'
import { onDisk } from './errors.ts'
import { emptyFolder, fileSteps, makeFolder, type FileSteps } from './files.ts'
import { hashFile } from './reader.ts'
import { HashingFile } from './writer.ts'

/** For less it is not worth asking. */
const checkedFromBytes = 1024 ** 2

export interface FolderOptions {
  /** Made when it is not there. */
  path: string
  logger: Logger
  /** What blobs and uploads may take together; no limit unless said. */
  quotaBytes?: number
  clock?: Clock
  /** How files are written; a test may put its own. */
  steps?: FileSteps
}

/**
 * Content in a folder: `blobs/<alg>/<hex>`, `ingest/<uuid>` while hashing, `scratch/` for others' work in progress. What a
 * process before us left in the last two is removed, so call it only once the state's lock is held; `contentId` gives the
 * id that the state wants. Throws StorageError.
 */
export async function createFolderContent(options: FolderOptions): Promise<Content> {
  const { path, logger, clock = systemClock, steps = fileSteps, quotaBytes } = options
  const blobs = new BlobFolder(path, steps, clock)
  const scratch = join(path, 'scratch')
  const ingestFolder = join(path, 'ingest')
  await onDisk({ what: 'preparing the content folder', path }, async () => {
    await blobs.prepare()
    for (const folder of [scratch, ingestFolder]) {
      await makeFolder(folder)
      await emptyFolder(folder)
    }
  })
  if (quotaBytes !== undefined) blobs.budget = new Budget(quotaBytes, await sizeOf(blobs))
  const ingesting = createIngest(blobs, ingestFolder, steps, logger)
  return {
    ...ingesting,
    scratch,
    stat: (digest) => blobs.stat(digest),
    read: (digest, range) => blobs.checked.read(digest, range),
    bytes: (digest, maxBytes) => blobs.bytes(digest, maxBytes),
    file: (digest) => blobs.checked.file(digest),
    verify: async (digest, signal) => (await hashFile(blobs.path(digest), algorithmOf(digest), signal)) === digest,
    remove: (digest, confirm) => blobs.remove(digest, confirm),
    list: () => blobs.list(),
    close: () => onDisk({ what: 'emptying the scratch folder', path: scratch }, () => emptyFolder(scratch)),
  }
}

async function sizeOf(blobs: BlobFolder): Promise<number> {
  let bytes = 0
  for await (const { size } of blobs.list()) bytes += size
  return bytes
}

function createIngest(
  blobs: BlobFolder,
  folder: string,
  steps: FileSteps,
  logger: Logger,
): Pick<Content, 'ingest' | 'startPartial'> {
  const begin = (algorithm: Algorithm, what: string) =>
    HashingFile.create(join(folder, randomUUID()), { steps, algorithm, what, budget: blobs.budget })

  /** Before it is asked for: what does not fit would be fetched until the disk is full, and again at the next look. */
  async function refuseWithoutRoom({ size = 0, digest }: IngestOptions): Promise<void> {
    if (size < checkedFromBytes) return
    blobs.budget?.check(size)
    const attempt = { what: 'looking how much room there is', path: folder }
    if (size <= (await onDisk(attempt, () => steps.freeBytes(folder)))) return
    const message = `there is no room for the ${formatSize(size)} of ${digest ?? 'a blob'} on the disk that holds ${folder}`
    throw new StorageError('disk_full', message, { hint: 'Free space there, or use a larger disk.' })
  }

  async function discard(file: HashingFile): Promise<void> {
    file.goes()
    await file.close().catch(() => undefined)
    await steps.remove(file.path).catch((error: unknown) => {
      logger.warn({ err: error, path: file.path }, 'removing an unfinished blob failed; the next start does it')
    })
  }

  return {
    async ingest(source, options = {}) {
      await refuseWithoutRoom(options)
      const algorithm = options.digest === undefined ? (options.algorithm ?? 'sha256') : algorithmOf(options.digest)
      const file = await begin(algorithm, options.digest === undefined ? 'a blob' : `blob ${options.digest}`)
      try {
        await file.append(source, { maxBytes: maxBytesOf(options), signal: options.signal })
        const info = { digest: await file.digest(), size: file.size }
        checkSize(info, options.size)
        checkDigest(info.digest, options.digest)
        await blobs.keep(file, info, options.record)
        return info
      } catch (error) {
        await discard(file)
        throw error
      }
    },

    async startPartial() {
      return partialOf(await begin('sha256', 'an upload'), blobs, discard)
    },
  }
}

function partialOf(file: HashingFile, blobs: BlobFolder, discard: (file: HashingFile) => Promise<void>): Partial {
  return {
    get size() {
      return file.size
    },
    append: (source, options) => file.append(source, options),
    async finish(digest, record) {
      const algorithm = algorithmOf(digest)
      try {
        // The running hash is sha256, which nearly all are; for another the bytes are read once more.
        checkDigest(algorithm === 'sha256' ? await file.digest() : await file.rehash(algorithm), digest)
        await blobs.keep(file, { digest, size: file.size }, record)
        return { digest, size: file.size }
      } catch (error) {
        await discard(file)
        throw error
      }
    },
    cancel: () => discard(file),
  }
}

function maxBytesOf({ maxBytes = Infinity, size = Infinity }: IngestOptions): number {
  return Math.min(maxBytes, size)
}

function checkSize({ digest, size }: BlobInfo, wanted: number | undefined): void {
  if (wanted === undefined || wanted === size) return
  throw new IntegrityError('size_mismatch', `${size} bytes came for ${digest}, but ${wanted} were announced`)
}

function checkDigest(is: Digest, wanted: Digest | undefined): void {
  if (wanted === undefined || wanted === is) return
  throw new IntegrityError('digest_mismatch', `what came hashes to ${is}, not to ${wanted}`)
}
