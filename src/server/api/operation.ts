import type { z } from 'zod'
import {
  ConfigError,
  IntegrityError,
  RemoteError,
  StorageError,
  type LongshoreError,
  type StorageCode,
} from '../../lib/errors.ts'
import { notAllowed, type Refusal } from '../refusal.ts'
import type { Action, Caller, Exchange } from '../types.ts'
import type { named } from './schemas.ts'

/** One route of the API: what serves it, and what the description says of it. */
export interface Operation {
  method: 'GET' | 'POST'
  /** As in the description: `/api/v1/bundles/{name}`. Names may contain slashes. */
  path: string
  summary: string
  needs: Need
  query?: z.ZodObject
  /** Of the JSON body; one that is empty counts as `{}`. */
  body?: z.ZodObject
  /** Status → what it means, and the shape of its JSON; without a shape it is text. */
  answers: Record<number, { description: string; schema?: keyof typeof named }>
  handle(call: Call): Promise<Answer> | Answer
}

/** `bundle`: for the bundle in the path; `any`: for anything at all; `server`: for the server as a whole, without a pattern. */
export type Need = 'nothing' | { action: Action; of: 'bundle' | 'any' | 'server' }

export interface Call extends Exchange {
  /** The bundle in the path, where there is one. */
  name: string
  query: unknown
  body: unknown
}

export interface Answer {
  status?: number
  /** Sent as JSON, or as it is with `type`. */
  body: unknown
  type?: string
}

/** Thrown where a request is not answered as asked. */
export class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}

/** What to answer where a request failed. */
export function refusalFor(error: Refused | LongshoreError): Refusal {
  if (error instanceof Refused) return error.refusal
  const { code, message, hint } = error
  const rest = { code, message, ...(hint !== undefined && { hint }) }
  if (error instanceof ConfigError) return { status: 422, ...rest, details: { problems: error.problems } }
  if (error instanceof IntegrityError) return { status: 422, ...rest }
  if (error instanceof RemoteError) return { status: error.code === 'timeout' ? 504 : 502, ...rest }
  if (!(error instanceof StorageError)) return { status: 500, ...rest }
  const later = error.code === 'unreachable' && { headers: { 'Retry-After': '5' } }
  return { status: storageStatuses[error.code], ...rest, ...later }
}

/** Where our own folder or database is in the way. */
export const storageStatuses: Record<StorageCode, number> = {
  disk_full: 507,
  quota_exceeded: 507,
  read_only: 500,
  io: 500,
  locked: 500,
  corrupt: 500,
  foreign: 500,
  unreachable: 503,
  not_allowed: 500,
  no_database: 500,
}

/** What a pattern is compared with where the server as a whole is meant: only a right without a pattern covers it. */
const wholeServer = ''

/** Throws Refused unless the caller may. */
export function demand(operation: Operation, caller: Caller, name: string): void {
  const { needs } = operation
  if (needs === 'nothing') return
  const target = { bundle: `bundles/${name}`, any: undefined, server: wholeServer }[needs.of]
  if (caller.may(needs.action, target)) return
  const what = needs.of === 'bundle' ? `${needs.action} bundles/${name}` : `${needs.action} here`
  throw new Refused(notAllowed(caller, what))
}
