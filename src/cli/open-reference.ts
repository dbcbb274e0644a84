import { resolve } from 'node:path'
import { silentLogger } from '../lib/logger.ts'
import { createOciClient, type OciClient } from '../oci/client.ts'
import type { Digest } from '../oci/digest.ts'
import { openLayout } from '../oci/layout.ts'
import { formatReference, parseReference, versionOf } from '../oci/reference.ts'
import type { Registries } from '../oci/settings.ts'
import type { Sink } from '../oci/target.ts'
import type { CommandContext } from './command.ts'
import { layoutScheme, parseLayoutReference } from './layout-reference.ts'
import type { RemoteOptions } from './options.ts'
import { configuredRegistries } from './read-config.ts'

/** What a reference on the command line stands for. */
export interface Opened {
  target: Sink
  /** Tag or digest to ask for; where neither was written, `latest`. */
  reference: string
  /** Undefined where a digest was written without a tag. */
  tag?: string
  digest?: Digest
  /** Whether a tag or a digest was written. */
  explicit: boolean
  /** Of the registry; undefined for a layout. */
  host?: string
  /** As it was written. */
  text: string
  /** In full: with host and tag. */
  full: string
}

export interface OpenOptions {
  /** Makes a layout where there is none. */
  create?: boolean
}

export type Open = (text: string, options?: OpenOptions) => Promise<Opened>

/** Runs with what opens references, all through one client, which is closed at the end. */
export async function withReferences<T>(
  context: CommandContext,
  options: RemoteOptions,
  run: (open: Open) => Promise<T>,
): Promise<T> {
  const client = createOciClient({ ...clientBasics(context), registries: await readRegistries(context, options) })
  try {
    return await run((text, { create = false } = {}) => openReference(text, { client, cwd: context.cwd, create }))
  } finally {
    await client.close()
  }
}

/** `host/repo:tag`, `host/repo@sha256:…`, `oci-layout:DIR[:tag|@digest]`. Throws ConfigError. */
export async function openReference(
  text: string,
  { client, cwd, create }: { client: OciClient; cwd: string; create: boolean },
): Promise<Opened> {
  if (text.startsWith(layoutScheme)) return openLayoutReference(text, cwd, create)
  const reference = parseReference(text)
  const { host, tag, digest } = reference
  return {
    target: client.repository(reference),
    reference: versionOf(reference),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
    explicit: digest !== undefined || text.endsWith(`:${tag}`),
    host,
    text,
    full: formatReference(reference),
  }
}

async function openLayoutReference(text: string, cwd: string, create: boolean): Promise<Opened> {
  const { folder, tag, digest } = parseLayoutReference(text)
  const version = digest === undefined ? { tag: tag ?? 'latest' } : { digest }
  return {
    target: await openLayout(resolve(cwd, folder), { create }),
    reference: digest ?? tag ?? 'latest',
    ...version,
    explicit: tag !== undefined || digest !== undefined,
    text,
    full: digest === undefined && tag === undefined ? `${text}:latest` : text,
  }
}

/** What every client of this process shares. */
export function clientBasics({ clock, redactor, environment }: CommandContext) {
  const { dockerConfig, proxy } = environment
  return { clock, random: Math.random, logger: silentLogger, redactor, dockerConfig, proxy }
}

export async function readRegistries(context: CommandContext, options: RemoteOptions): Promise<Registries> {
  const settings = await configuredRegistries(context, options.config)
  if (options.plainHttp !== true) return settings
  const matches = new Set(['*', ...Object.keys(settings)])
  return Object.fromEntries([...matches].map((match) => [match, { ...settings[match], plainHttp: true }]))
}
