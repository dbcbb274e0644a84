import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Event } from '../model/event.ts'
import type { Explanation } from '../model/explain.ts'
import type { Message, MessageFilter, MessageKey } from '../model/message.ts'
import type { LeftStatus } from '../model/placement.ts'
import type { BundleStatus } from '../model/status.ts'
import type { Steering } from '../model/steering.ts'
import type { Look, Release } from '../model/release.ts'
import type { BackedUp } from '../registry/backup.ts'
import type { Collected } from '../registry/collect.ts'
import type { EventFeed } from '../state/feed.ts'
import type { Verified } from '../registry/verify.ts'
import type { Webhook } from '../webhooks/webhook.ts'

export type Action = 'read' | 'push' | 'delete' | 'deploy' | 'admin'

/** Who asks, and what they may. */
export interface Caller {
  /** `anonymous`, `loopback`, a token's or a user's name; for audit lines. */
  readonly name: string
  readonly anonymous: boolean
  /** `target` is a repository's or `bundles/NAME`; without it: whether the caller may do it to anything at all. */
  may(action: Action, target?: string): boolean
}

/** One request, past the guard: the caller is known, what it may is for the route to ask. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** Parsed once; the host is not to be trusted. */
  url: URL
  caller: Caller
  requestId: string
  /** Aborted when the client goes away or the server gives up on it. */
  signal: AbortSignal
}

export type Route = (exchange: Exchange) => Promise<void>

/** What the HTTP side may ask of the rest; `app.ts` puts it together from reconciler and state. */
export interface Control {
  status(): Promise<BundleStatus[]>
  releases(bundle: string, limit: number): Promise<Release[]>
  /** Looks now (one more if a look is under way) and answers when that look is done. Undefined for a name that is not configured. */
  look(bundle: string, trigger: string, signal?: AbortSignal): Promise<Look | undefined>
  /** Why a bundle is what it is, with at most so many of its tags. Undefined for a name that is not configured. */
  explain(bundle: string, limit: number, signal: AbortSignal): Promise<Explanation | undefined>
  /** What stayed at places that left the config. */
  left(): LeftStatus[]
  /** What its store has, at most one interval of its schedule old. Undefined for a name that is not configured. Throws RemoteError. */
  tags(bundle: string, signal: AbortSignal): Promise<readonly string[] | undefined>
  /** The same, of what is known; undefined also where the store would have to be asked. */
  knownTags(bundle: string): readonly string[] | undefined
  /** Takes up the changed config, or refuses it as a whole with ConfigError. */
  reload(): Promise<{ added: string[]; changed: string[]; removed: string[] }>
  /** What persons may say of a bundle that is configured. */
  readonly steering: Steering
  /** What happened to a bundle, or, of that, at one place; newest first. */
  events(bundle: string, limit: number, place?: string): Promise<Event[]>
  /** Removes what nobody needs, or says what that is. Waits for its turn; the signal breaks it off. */
  collect(options: { dryRun: boolean; signal?: AbortSignal }): Promise<Collected>
  /** What happens to all bundles. */
  readonly feed: EventFeed
  /** What publishers are still to be told. */
  readonly messages: {
    /** Who is told anything, by the config in force. */
    publishers(): string[]
    list(filter: MessageFilter, page: { after: MessageKey | null; limit: number }): Promise<Message[]>
    /** Those that are parked are sent again. Returns which. */
    resend(keys: readonly MessageKey[]): Promise<MessageKey[]>
  }
  /** Who may tell us that something changed; undefined for a name that is not configured. `look` says who looks, and does not wait for it. */
  webhook(name: string): { webhook: Webhook; look(repositories: readonly string[] | null): string[] } | undefined
  /** Copies everything that is kept into a new folder of the server's machine. Throws ConfigError for one that cannot be meant. */
  backUp(options: { to: string; signal?: AbortSignal }): Promise<BackedUp>
  /** Hashes every blob and takes away what is damaged; `lookingAt`: bundles that are looked at for that, to bring it back. */
  verify(options: { signal?: AbortSignal }): Promise<Verified & { lookingAt: string[] }>
  /** How far a verification is; null when none runs. */
  verifying(): { blobs: number; bytes: number } | null
  /** What stands in the way of being ready; empty when ready. */
  unready(): Promise<string[]>
  /** What keeps nobody from being served, and needs somebody to mend it. */
  warnings(): string[]
}

/** What is served under a bundle's name. */
export interface ServedBundle {
  release: Release
  /** In memory, or undefined when it is read from disk for each request. */
  bytes: Buffer | undefined
}
