import { ConfigError, type Problem } from '../lib/errors.ts'
import { hideLogins, Redactor } from '../lib/redact.ts'
import { checkTogether, type Written } from './check.ts'
import type { Config } from './config.ts'
import type { Path } from './document.ts'
import type { Environment } from './environment.ts'
import { checkFiles } from './files.ts'
import { fillFromEnvironment } from './from-environment.ts'
import { describeIssue, problemsOf, type PlacedProblem } from './issues.ts'
import { isMisnamed, renameKeys } from './misnamed.ts'
import { anchorPaths } from './paths.ts'
import { nowhere, type Places, type ReadConfig } from './read.ts'
import { sortProblems } from './problems.ts'
import { resolveConfig } from './resolve.ts'
import { checkRest } from './rest.ts'
import { configSchema, type CheckedConfig } from './schema.ts'
import { substitute } from './substitute.ts'

export interface ParseOptions {
  environment: Pick<Environment, 'get'>
  /** Goes before the file's `server.listen`: what `--listen` names. */
  listen?: string | undefined
  /** Learns every secret of the file. */
  redactor?: Redactor
  /** Milliseconds since the epoch. */
  now?: () => number
}

/** Where a config stands; `name` is for messages, `folder` what its paths are relative to. */
export interface ConfigPlace {
  name: string
  file: string | null
  folder: string
}

/** What the document says, all of it checked. Throws ConfigError with every problem there is. */
export async function parseConfig(
  document: ReadConfig,
  { name, file, folder }: ConfigPlace,
  options: ParseOptions,
): Promise<Config> {
  const { checked, problems } = await checkDocument(document, folder, options)
  if (problems.length > 0 || checked === undefined) throw refusal(name, problems)
  return resolveConfig(checked, { file, folder })
}

async function checkDocument(
  document: ReadConfig,
  folder: string,
  options: ParseOptions,
): Promise<{ checked?: CheckedConfig; problems: Problem[] }> {
  if (document.value === undefined) return { problems: document.problems }
  const written = withoutEmptySections(document.value ?? {})
  const lookups = {
    environment: (name: string) => options.environment.get(name),
    meta: (written as { meta?: unknown }).meta,
  }
  const { value, problems: unresolved, used } = substitute(written, lookups)
  anchorPaths(value, folder)
  // Their paths are those of who set them: relative to where longshore was started.
  const more = fillFromEnvironment(value, (name) => options.environment.get(name))
  if (options.listen !== undefined) setListen(value, options.listen)
  const { checked, issues, restore } = await checkValue(value, document)
  // What could not be looked up is empty now, and said already.
  const unknown = new Set(unresolved.map(({ path }) => path.join('.')))
  const wrong = issues.filter(({ path }) => !unknown.has(path.join('.')))
  const together = checkTogether(checked.config, checked.written, (options.now ?? Date.now)(), folder).map(restore)
  const files = (await checkFiles(checked.config, options.redactor ?? new Redactor())).map(restore)
  const found = [...unresolved, ...wrong, ...together, ...files]
  const places = found.length === 0 ? nowhere : await document.places()
  const placed = found.map((problem) => hideUsed(place(problem, places), new Map([...used, ...more])))
  return { checked: checked.config, problems: [...document.problems, ...placed] }
}

/** What is right by itself, and every problem of the rest; under a wrong name too. `restore`: with the names that the file has. */
async function checkValue(value: unknown, document: ReadConfig) {
  const parse = (what: unknown) => configSchema.safeParse(what, { error: describeIssue })
  const first = parse(value)
  const misnamed = first.success ? [] : first.error.issues.filter(isMisnamed)
  const renamed = renameKeys(value, misnamed)
  const result = misnamed.length === 0 ? first : parse(renamed.value)
  const others = result.success ? [] : result.error.issues.filter((issue) => !isMisnamed(issue))
  const places = first.success ? nowhere : await document.places()
  const textAt = (path: Path) => places.textAt(renamed.restorePath(path))
  return {
    checked: {
      config: result.success ? result.data : checkRest(renamed.value, result.error.issues),
      written: renamed.value as Written,
    },
    issues: [
      ...problemsOf(misnamed, value, places.textAt),
      ...problemsOf(others, renamed.value, textAt).map(renamed.restore),
    ],
    restore: renamed.restore,
  }
}

function setListen(value: unknown, listen: string): void {
  if (typeof value !== 'object' || value === null) return
  const file = value as { server?: unknown }
  file.server ??= {}
  if (typeof file.server === 'object' && file.server !== null) Object.assign(file.server, { listen })
}

/** `deployers:` with nothing but comments below it means none. */
function withoutEmptySections(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, section]) => section !== null))
}

function place({ path, message, hint }: PlacedProblem, { lineOf }: Places): Problem {
  const line = lineOf(path)
  return {
    key: shorten(hideLogins(path.join('.'))),
    message: shorten(hideLogins(message)),
    ...(line === undefined ? {} : { line }),
    ...(hint === undefined ? {} : { hint }),
  }
}

/** What stands in a file may be as long as the file. */
function shorten(text: string): string {
  return text.length > longestSaid ? `${text.slice(0, longestSaid)}…` : text
}

const longestSaid = 2000
const shortestHidden = 4
const longestShown = 40

/** What a variable held may be a secret, so a problem that quotes it names the variable instead. */
function hideUsed(problem: Problem, used: ReadonlyMap<string, string>): Problem {
  const hide = (text: string) =>
    [...used].reduce((shown, [name, value]) => {
      if (value.length < shortestHidden) return shown
      // A message may quote the beginning only, or in lower case.
      const rest = value.length > longestShown ? '[^"`]*' : ''
      const pattern = new RegExp(`${RegExp.escape(value.slice(0, longestShown))}${rest}`, 'gi')
      return shown.replace(pattern, () => `\${${name}}`)
    }, text)
  const { key, message, hint } = problem
  return {
    ...problem,
    message: hide(message),
    ...(key === undefined ? {} : { key: hide(key) }),
    ...(hint === undefined ? {} : { hint: hide(hint) }),
  }
}

function refusal(file: string, problems: Problem[]): ConfigError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  const sorted = sortProblems(problems).map((problem) => ({ file, ...problem }))
  return new ConfigError(`the config has ${count}`, { problems: sorted })
}
