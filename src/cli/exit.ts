import { formatProblems } from '../config/problems.ts'
import { ConfigError, IntegrityError, LongshoreError, RemoteError } from '../lib/errors.ts'

/** What a script may rely on; docs/cli.md lists it. */
export const exitStatus = { done: 0, failed: 1, usage: 2, remote: 3, content: 4 } as const

const refusals = new Set(['unauthorized', 'denied', 'not_found'])

export function exitStatusOf(error: unknown): number {
  if (error instanceof ConfigError) return exitStatus.usage
  if (error instanceof RemoteError && refusals.has(error.code)) return exitStatus.remote
  if (error instanceof IntegrityError) return exitStatus.content
  return exitStatus.failed
}

/** The command has printed its result, and it is not a good one: `message` is for a person, nothing more goes to stdout. */
export class BadResult extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What a person reads when a command fails: the message, each problem, what to do. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const lines = [withCause(error)]
  if (error instanceof ConfigError && error.problems.length > 0) lines.push(formatProblems(error.problems))
  if (error instanceof LongshoreError && error.hint !== undefined) lines.push(error.hint)
  if (!(error instanceof LongshoreError) && error.stack !== undefined) lines.push(error.stack)
  return lines.join('\n')
}

/** Where the message has no reason after a colon, it stands in the cause. */
function withCause({ message, cause }: Error): string {
  return cause instanceof Error && !message.includes(': ') ? `${message}: ${cause.message}` : message
}

/** The same as one JSON value, for `--json`. */
export function errorDocument(error: unknown): object {
  if (!(error instanceof LongshoreError)) return { error: { code: 'internal', message: String(error) } }
  const problems = error instanceof ConfigError && error.problems.length > 0 ? { problems: error.problems } : {}
  return { error: { code: error.code, message: withCause(error), hint: error.hint, ...problems } }
}
