import { readFile } from 'node:fs/promises'
import type { Server } from 'node:https'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Clock } from '../lib/clock.ts'
import { ConfigError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'

/** Paths of PEM files. With `clientCa`, only clients with a certificate of that authority are let in. */
export interface TlsFiles {
  cert: string
  key: string
  clientCa?: string
}

const pollMs = 10_000

/** Throws ConfigError when a file cannot be read, or when they do not belong together. */
export async function readTls(files: TlsFiles): Promise<SecureContextOptions> {
  const [cert, key, ca] = await Promise.all([
    read('server.tls.cert', files.cert),
    read('server.tls.key', files.key),
    files.clientCa === undefined ? undefined : read('server.tls.client_ca', files.clientCa),
  ])
  const context = { cert, key, ...(ca && { ca }) }
  try {
    createSecureContext(context)
  } catch (error) {
    throw new ConfigError(`${files.cert} and ${files.key} cannot be used for TLS: ${(error as Error).message}`, {
      cause: error,
      hint: 'both must be PEM, and the key must be that of the certificate',
    })
  }
  return context
}

async function read(key: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new ConfigError(`${key}: cannot read ${path}: ${(error as Error).message}`, { cause: error })
  }
}

/**
 * Takes up new certificates for new connections when the files change. They are read, not watched: what renews them
 * replaces folders and links as well. Files that do not fit together (one is not written yet) are looked at again.
 */
export function keepTlsFresh(
  server: Server,
  files: TlsFiles,
  first: SecureContextOptions,
  { clock, logger }: { clock: Clock; logger: Logger },
): () => void {
  let current = first
  let complained = ''
  let cancel = clock.after(pollMs, () => void look())
  let stopped = false

  async function look(): Promise<void> {
    try {
      const next = await readTls(files)
      if (!isSame(current, next)) {
        server.setSecureContext(next)
        current = next
        logger.info({ cert: files.cert }, 'took up a new TLS certificate')
      }
      complained = ''
    } catch (error) {
      const { message } = error as Error
      if (message !== complained) logger.warn({ err: error }, 'cannot take up the TLS files, the old ones stay in use')
      complained = message
    }
    if (!stopped) cancel = clock.after(pollMs, () => void look())
  }

  return () => {
    stopped = true
    cancel()
  }
}

function isSame(one: SecureContextOptions, other: SecureContextOptions): boolean {
  const text = ({ cert, key, ca }: SecureContextOptions) => [cert, key, ca].map(String).join('\n')
  return text(one) === text(other)
}
