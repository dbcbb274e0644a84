import { Command, CommanderError } from 'commander'
import type { AddCommand, CommandContext } from './command.ts'
import { BadResult, describeError, errorDocument, exitStatus, exitStatusOf } from './exit.ts'

/** In the order in which `--help` lists them. Each comes with what it needs, so only what is asked for is loaded. */
const commands: Record<string, () => Promise<AddCommand>> = {
  serve: async () => (await import('./serve.ts')).addServe,
  build: async () => (await import('./build.ts')).addBuild,
  push: async () => (await import('./push.ts')).addPush,
  pull: async () => (await import('./pull.ts')).addPull,
  copy: async () => (await import('./copy.ts')).addCopy,
  inspect: async () => (await import('./inspect.ts')).addInspect,
  tags: async () => (await import('./tags.ts')).addTags,
  delete: async () => (await import('./delete.ts')).addDelete,
  untag: async () => (await import('./untag.ts')).addUntag,
  login: async () => (await import('./login.ts')).addLogin,
  logout: async () => (await import('./logout.ts')).addLogout,
  status: async () => (await import('./status.ts')).addStatus,
  releases: async () => (await import('./releases.ts')).addReleases,
  events: async () => (await import('./events.ts')).addEvents,
  explain: async () => (await import('./explain.ts')).addExplain,
  look: async () => (await import('./look.ts')).addLook,
  pin: async () => (await import('./pin.ts')).addPin,
  unpin: async () => (await import('./pin.ts')).addUnpin,
  approve: async () => (await import('./approve.ts')).addApprove,
  rollback: async () => (await import('./pin.ts')).addRollback,
  deploy: async () => (await import('./deploy.ts')).addDeploy,
  'auto-deploy': async () => (await import('./auto-deploy.ts')).addAutoDeploy,
  hold: async () => (await import('./hold.ts')).addHold,
  resume: async () => (await import('./resume.ts')).addResume,
  messages: async () => (await import('./messages.ts')).addMessages,
  resend: async () => (await import('./messages.ts')).addResend,
  config: async () => (await import('./config.ts')).addConfig,
  gc: async () => (await import('./gc.ts')).addGc,
  backup: async () => (await import('./backup.ts')).addBackup,
  restore: async () => (await import('./restore.ts')).addRestore,
  'verify-content': async () => (await import('./verify-content.ts')).addVerifyContent,
}

/** Runs one command line; returns the exit status and never throws. */
export async function runCommand(argv: readonly string[], version: string, context: CommandContext): Promise<number> {
  try {
    const program = await createProgram(version, context, argv)
    await program.parseAsync([...argv], { from: 'user' })
    return exitStatus.done
  } catch (error) {
    return report(error, context)
  }
}

/** Every command with every option, or only the one that the arguments name; nothing has run yet. */
export async function createProgram(
  version: string,
  context: CommandContext,
  argv: readonly string[] = [],
): Promise<Command> {
  const { output } = context
  const program = new Command('longshore')
    .description(
      'Watches registries for OPA bundles and other artifacts, verifies them, serves the newest, deploys it.',
    )
    .version(version)
    .option('--json', 'one JSON document on stdout')
    .exitOverride()
    .showHelpAfterError('(run it with --help to see what it takes)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => output.result({ text: text.trimEnd() }, text.trimEnd()),
      // With --json `report` says it, as a document.
      writeErr: (text) => output.note(text.trimEnd()),
    })
  for (const add of await Promise.all(neededBy(argv).map((load) => load()))) add(program, context)
  return program
}

function neededBy(argv: readonly string[]): (() => Promise<AddCommand>)[] {
  const named = argv.find((argument) => !argument.startsWith('-'))
  if (named !== undefined && Object.hasOwn(commands, named)) return [commands[named]!]
  const isVersion = named === undefined && argv.some((argument) => argument === '--version' || argument === '-V')
  return isVersion ? [] : Object.values(commands)
}

function report(error: unknown, context: CommandContext): number {
  const { output, redactor, signal } = context
  if (error instanceof CommanderError) return reportUsage(error, context)
  if (error instanceof BadResult) {
    output.error(redactor.redact(error.message))
    return error.status
  }
  if (isInterruption(error, signal)) return exitStatus.failed
  if (output.json) output.result(JSON.parse(redactor.redact(JSON.stringify(errorDocument(error)))), '')
  output.error(redactor.redact(describeError(error)))
  return exitStatusOf(error)
}

/** Whoever pressed Ctrl-C knows why it ended. */
function isInterruption(error: unknown, { aborted, reason }: AbortSignal): boolean {
  if (!aborted || !(error instanceof Error)) return false
  return error === reason || error.cause === reason || error.name === 'AbortError'
}

/** Commander has told the person already; asked for help it ends with an error too. */
function reportUsage({ exitCode, message }: CommanderError, { output }: CommandContext): number {
  if (exitCode === 0) return exitStatus.done
  if (output.json) output.result({ error: { code: 'usage', message: message.replace(/^error: /, '') } }, '')
  return exitStatus.usage
}
