import { readFile } from 'node:fs/promises'
import tls from 'node:tls'
import { ConfigError } from '../../lib/errors.ts'

/** Paths of PEM files: authorities besides those of the system, our own certificate, its key. */
export interface TlsFiles {
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
}

/** Read at each use: certificates are renewed. Node replaces its roots by what is given, so that holds them. */
export async function secure(files: TlsFiles): Promise<tls.SecureContextOptions> {
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map(readPem))
  return {
    ...(ca !== undefined && { ca: [...tls.getCACertificates('default'), ca] }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
  }
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`cannot read the certificate or key ${path}: ${error.code ?? error.message}`, {
      cause: error,
    })
  })
}

/** Where a name has several addresses, each has failed in its own way. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
