import { Command, CommanderError } from 'commander'
import type { AddCommand, CommandContext } from './command.ts'
import { addAutoDeploy } from './auto-deploy.ts'
import { addBackup } from './backup.ts'
import { addBuild } from './build.ts'
import { addConfig } from './config.ts'
import { addCopy } from './copy.ts'
import { addDelete } from './delete.ts'
import { addDeploy } from './deploy.ts'
import { BadResult, describeError, errorDocument, exitStatus, exitStatusOf } from './exit.ts'
import { addGc } from './gc.ts'
import { addHold } from './hold.ts'
import { addInspect } from './inspect.ts'
import { addLogin } from './login.ts'
import { addLogout } from './logout.ts'
import { addLook } from './look.ts'
import { addPin, addRollback, addUnpin } from './pin.ts'
import { addPull } from './pull.ts'
import { addPush } from './push.ts'
import { addReleases } from './releases.ts'
import { addRestore } from './restore.ts'
import { addResume } from './resume.ts'
import { addServe } from './serve.ts'
import { addStatus } from './status.ts'
import { addTags } from './tags.ts'
import { addUntag } from './untag.ts'
import { addVerifyContent } from './verify-content.ts'

/** In the order in which `--help` lists them. */
const commands: AddCommand[] = [
  addServe,
  addBuild,
  addPush,
  addPull,
  addCopy,
  addInspect,
  addTags,
  addDelete,
  addUntag,
  addLogin,
  addLogout,
  addStatus,
  addReleases,
  addLook,
  addPin,
  addUnpin,
  addRollback,
  addDeploy,
  addAutoDeploy,
  addHold,
  addResume,
  addConfig,
  addGc,
  addBackup,
  addRestore,
  addVerifyContent,
]

/** Runs one command line; returns the exit status and never throws. */
export async function runCommand(argv: readonly string[], version: string, context: CommandContext): Promise<number> {
  const program = createProgram(version, context)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitStatus.done
  } catch (error) {
    return report(error, context)
  }
}

/** Every command with every option; nothing has run yet. */
export function createProgram(version: string, context: CommandContext): Command {
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
  for (const add of commands) add(program, context)
  return program
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
