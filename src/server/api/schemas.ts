import { z } from 'zod'
import type { Hold, Pin, Switch } from '../../model/decision.ts'
import type { Deployment, Plan } from '../../model/deployment.ts'
import { eventTypes, type Event } from '../../model/event.ts'
import type { Explanation, PlaceVerdict } from '../../model/explain.ts'
import type { Verdict } from '../../model/follow.ts'
import type { Look, Release } from '../../model/release.ts'
import type { Message, MessageKey } from '../../model/message.ts'
import type { BundleStatus, PlaceStatus } from '../../model/status.ts'
import type { LeftStatus } from '../../model/placement.ts'
import type { Promotion, Waiting } from '../../model/promotion.ts'
import type { Approved, Pinned } from '../../model/steering.ts'
import type { BackedUp } from '../../registry/backup.ts'
import type { Collected } from '../../registry/collect.ts'
import type { Control } from '../types.ts'

// The shapes of the API: what is checked, what is described at /api/v1/openapi.json. Held equal to the model by `satisfies`.

const time = z.number().describe('Milliseconds since the epoch')
const digest = z.templateLiteral([z.enum(['sha256:', 'sha512:']), z.string()])

export const release = z.object({
  bundle: z.string(),
  number: z.int().describe('1, 2, 3, …: per bundle, never reused'),
  bundleDigest: digest.nullable().describe('Of the bytes that are served: the ETag. Null where nothing is pulled'),
  size: z.int().describe('Bytes'),
  manifestDigest: digest.describe('Of the manifest under bundles/NAME'),
  sourceDigest: digest.describe('Of the manifest that the store offered'),
  form: z.enum(['original', 'repacked', 'assembled']),
  version: z.string().describe('What the store calls it: a tag, a commit'),
  revision: z.string().nullable().describe("OPA's label in .manifest"),
  activatedAt: time,
  reason: z.string(),
  kept: z.boolean().describe('False once its bytes are gone'),
}) satisfies z.ZodType<Release>

export const look = z.object({
  bundle: z.string(),
  startedAt: time,
  endedAt: time,
  outcome: z.enum(['released', 'unchanged', 'refused', 'failed']),
  trigger: z.string(),
  version: z.string().nullable(),
  fingerprint: z.string().nullable(),
  message: z.string().nullable().describe('Why it was refused or failed'),
  code: z.string().nullable(),
  failures: z.int().describe('Looks that failed in a row, this one included'),
  nextAt: time.nullable(),
}) satisfies z.ZodType<Look>

export const deployment = z.object({
  bundle: z.string(),
  place: z.string(),
  desired: z.int().nullable().describe('Number of the release that should be there'),
  deployed: z.int().nullable().describe('Number of the release that was put there last'),
  observed: digest.nullable().describe('What the place said it holds'),
  state: z
    .enum(['pending', 'deploying', 'done', 'failed', 'drifted'])
    .describe('`drifted`: somebody else changed what was put there'),
  attempts: z.int(),
  nextAttemptAt: time.nullable(),
  lastError: z.string().nullable(),
  lastAttemptAt: time.nullable(),
  deployedAt: time.nullable(),
  forced: z.int().describe('How often a person asked for it whatever is there already'),
  forcedDone: z.int().describe('Up to which of these it was done'),
}) satisfies z.ZodType<Deployment>

const word = {
  bundle: z.string().describe('`*`: all of them'),
  by: z.string().describe('Who decided it'),
  at: time,
  reason: z.string(),
}

export const hold = z.object(word) satisfies z.ZodType<Hold>
const pinTo = z.union([z.object({ tag: z.string() }), z.object({ release: z.int() }), z.object({ digest })])
export const pin = z.object({ ...word, to: pinTo }) satisfies z.ZodType<Pin>

const autoDeploySwitch = z.object({
  ...word,
  place: z.string().nullable().describe('Null: all places of the bundle'),
  on: z.boolean(),
}) satisfies z.ZodType<Switch>

export const place = deployment.extend({
  autoDeploy: z.boolean().describe('Whether new releases go there by themselves'),
  switched: autoDeploySwitch.nullable().describe('Who switched that; null: it is as the config says'),
}) satisfies z.ZodType<PlaceStatus>

export const plan = z.object({
  bundle: z.string(),
  place: z.string(),
  desired: z.int().nullable(),
  deployed: z.int().nullable(),
  observed: digest.nullable().describe('What the place said just now'),
  does: z.enum(['deploy', 'repeat', 'nothing']).describe('`repeat`: it is there already'),
  why: z.string(),
}) satisfies z.ZodType<Plan>

export const event = z.object({
  seq: z.int().describe('1, 2, 3, …: in the order in which it became durable'),
  at: time,
  type: z.enum(eventTypes),
  bundle: z.string(),
  place: z.string().nullable(),
  by: z.string().nullable().describe('Who decided it; null for what happened by itself'),
  data: z.record(z.string(), z.unknown()),
}) satisfies z.ZodType<Event>

export const message = z.object({
  publisher: z.string(),
  event,
  state: z
    .enum(['waiting', 'parked'])
    .describe('`parked`: it could not be sent for too long; a person may have it sent again'),
  attempts: z.int(),
  queuedAt: time.describe('Since when it waits'),
  nextAttemptAt: time.nullable(),
  lastError: z.string().nullable(),
}) satisfies z.ZodType<Message>
const waiting = z.object({
  release: z.int().describe('Its number in the bundle that it comes from'),
  version: z.string(),
  digest: digest.describe('Of its manifest'),
  isThere: z.boolean().describe('Whether it is where it has to be'),
  until: time.nullable().describe('When it was there for long enough; null: it is not there, or was already'),
  needsApproval: z.boolean().describe('Whether a person still has to agree'),
}) satisfies z.ZodType<Waiting>

const promotion = z.object({
  from: z.string().describe('The bundle that it comes from'),
  place: z.string().nullable().describe('Where its release has to be deployed; null: it is enough that it is current'),
  delayMs: z.number(),
  approval: z.boolean().describe('Whether a person has to agree'),
  promoted: z.int().nullable().describe('Number there of the release that counts now'),
  waiting: waiting.nullable().describe('What comes next'),
}) satisfies z.ZodType<Promotion>

export const bundle = z.object({
  name: z.string(),
  kind: z.enum(['opa', 'files']).nullable().describe('Null where nothing is pulled: then nobody looks what it is'),
  store: z.string(),
  follow: z.string(),
  current: release.nullable(),
  look: look.nullable(),
  looking: z.boolean(),
  nextLookAt: time.nullable(),
  deployments: z.array(place),
  held: hold.nullable().describe('Why nothing of it is deployed; null: it is'),
  promotion: promotion.nullable().describe('How far releases of the bundle are that it is promoted from'),
  pin: pin.nullable().describe('What goes before `follow`; null: nothing does'),
  health: z.enum(['ok', 'stale', 'empty']),
}) satisfies z.ZodType<BundleStatus>

const verdict = z.discriminatedUnion('code', [
  z.object({ code: z.enum(['taken', 'not_a_version', 'prerelease', 'no_number', 'no_time', 'gone']) }),
  z.object({ code: z.enum(['older_than', 'same_version_as', 'step_down']), tag: z.string() }),
  z.object({ code: z.literal('outside_range'), range: z.string() }),
  z.object({ code: z.literal('no_match'), pattern: z.string() }),
  z.object({ code: z.literal('not_followed'), follow: z.string() }),
  z.object({ code: z.literal('not_promoted'), from: z.string() }),
]) satisfies z.ZodType<Verdict>

const placeVerdict = z.discriminatedUnion('code', [
  z.object({ code: z.literal('held'), hold }),
  z.object({
    code: z.literal('auto_deploy_off'),
    switched: autoDeploySwitch.nullable().describe('Null: nobody switched it, the config says so'),
  }),
  z.object({ code: z.enum(['up_to_date', 'waiting']), release: z.int() }),
  z.object({ code: z.literal('no_release') }),
  z.object({ code: z.literal('drifted'), error: z.string() }),
  z.object({ code: z.literal('deploying'), release: z.int(), attempt: z.int() }),
  z.object({
    ...{ code: z.literal('failed'), release: z.int(), attempts: z.int(), error: z.string() },
    againAt: time.nullable(),
  }),
]) satisfies z.ZodType<PlaceVerdict>

export const explanation = z.object({
  bundle,
  tags: z.object({
    follow: z.string().describe('What counts now: the pin, else what the config follows'),
    askedAt: time.nullable().describe('When the store was asked for its tags; kept for one interval of the schedule'),
    total: z.int().describe('How many there are'),
    verdicts: z.array(z.object({ tag: z.string(), verdict })).describe('Best first'),
    error: z.object({ code: z.string(), message: z.string() }).nullable().describe('Why the store could not be asked'),
  }),
  places: z.array(z.object({ place: z.string(), verdict: placeVerdict })),
}) satisfies z.ZodType<Explanation>

export const bundles = z.object({ bundles: z.array(bundle) })
export const releases = z.object({ releases: z.array(release) })
const left = z.object({
  bundle: z.string(),
  place: z.string(),
  form: z.string(),
  path: z.string().nullable().describe('Where in the place; null for its root'),
  address: z.string(),
  leftAt: time.describe('When it was taken out of the config'),
  deployed: z.int().nullable().describe('Number of the release that was put there last'),
  attempts: z.int().describe('How often it was tried to take it away'),
  nextAttemptAt: time.nullable(),
  lastError: z.string().nullable(),
  prune: z.boolean().describe('Whether it is taken away; else it stays'),
}) satisfies z.ZodType<LeftStatus>

export const deployments = z.object({ deployments: z.array(place), left: z.array(left) })
export const forced = z.object({ deployments: z.array(deployment) })
export const plans = z.object({ plans: z.array(plan) })
export const events = z.object({ events: z.array(event) })
export const pinned = z.object({ to: pinTo, look }) satisfies z.ZodType<Pinned>
export const approved = z.object({
  ...{ release: z.int(), version: z.string(), digest },
  isNew: z.boolean().describe('False where somebody had agreed already'),
  place: z
    .string()
    .nullable()
    .describe('Where it has to be deployed before it counts; null: it is enough that it is current'),
  waiting: waiting.nullable().describe('What still has to pass before it counts, or what comes next'),
  look: look.nullable(),
}) satisfies z.ZodType<Approved>
export const unpinned = z.object({ wasPinned: z.boolean(), look: look.nullable() })
export const held = z.object({ held: z.boolean().describe('False where it was held already') })
export const switched = z.object({ on: z.boolean() })
export const resumed = z.object({ resumed: z.array(z.string()).describe('Bundles that were held') })
export const reloaded = z.object({
  added: z.array(z.string()),
  changed: z.array(z.string()),
  removed: z.array(z.string()),
})
export const messages = z.object({
  messages: z.array(message),
  next: z.string().nullable().describe('What goes on after this page with `after`; null: there is no more'),
})
export const resent = z.object({
  resent: z.array(z.object({ publisher: z.string(), seq: z.int() }) satisfies z.ZodType<MessageKey>),
})
export const collected = z.object({
  dryRun: z.boolean(),
  releases: z.int().describe('Releases whose bytes are no longer kept'),
  manifests: z.int().describe('Manifests under bundles/ that no release needs'),
  blobs: z.int().describe('Blobs that left a repository, once for each'),
  files: z.int().describe('Blobs that no repository has any more, and that are gone'),
  bytes: z.int().describe('What that frees'),
  left: z.object({ files: z.int(), bytes: z.int() }).describe('What stays on disk'),
  items: z
    .array(
      z.object({
        what: z.enum(['manifest', 'blob', 'file']),
        digest,
        size: z.int(),
        repository: z.string().nullable().describe('Which one it leaves; null for a file'),
        reason: z.string(),
      }),
    )
    .describe('In a dry run: what would go and why, the first 10,000'),
}) satisfies z.ZodType<Collected>
export const backedUp = z.object({
  path: z.string(),
  blobs: z.int(),
  bytes: z.int(),
  missing: z.array(digest).describe('Blobs that the state names and that could not be found'),
}) satisfies z.ZodType<BackedUp>
export const verified = z.object({
  blobs: z.int().describe('Blobs that were hashed'),
  bytes: z.int(),
  found: z.int().describe('Blobs that are not as they should be'),
  findings: z
    .array(z.object({ digest, kind: z.enum(['damaged', 'missing', 'wrong_size']), message: z.string() }))
    .describe('The first 10,000 of them. What was damaged is taken away, so that it can come again'),
  lookingAt: z.array(z.string()).describe('Bundles that are looked at now, to fetch what is lost again'),
}) satisfies z.ZodType<Awaited<ReturnType<Control['verify']>>>
export const verifying = z.object({
  running: z.boolean(),
  blobs: z.int().describe('Blobs that were hashed so far'),
  bytes: z.int(),
})
export const pong = z.object({ message: z.literal('pong') })
export const readiness = z.object({
  ready: z.boolean(),
  reasons: z.array(z.string()),
  warnings: z.array(z.string()).describe('What keeps nobody from being served, and needs somebody to mend it'),
})

/** https://www.rfc-editor.org/rfc/rfc9457 */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  hint: z.string().optional(),
  request_id: z.string(),
  problems: z
    .array(
      z
        .object({ file: z.string(), line: z.int(), key: z.string(), hint: z.string() })
        .partial()
        .extend({ message: z.string() }),
    )
    .optional(),
})

/** Under these names in the description. */
export const named = {
  Release: release,
  Look: look,
  Deployment: deployment,
  Bundle: bundle,
  Bundles: bundles,
  Explanation: explanation,
  Releases: releases,
  Deployments: deployments,
  Reloaded: reloaded,
  Resumed: resumed,
  Held: held,
  Pinned: pinned,
  Unpinned: unpinned,
  Approved: approved,
  Switched: switched,
  Forced: forced,
  Plans: plans,
  Events: events,
  Message: message,
  Messages: messages,
  Resent: resent,
  Collected: collected,
  BackedUp: backedUp,
  Verified: verified,
  Verifying: verifying,
  Pong: pong,
  Readiness: readiness,
  Problem: problem,
}
