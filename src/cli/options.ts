import { InvalidArgumentError, type Command } from 'commander'
import { parseSchedule, type Schedule } from '../lib/schedule.ts'
import { parseDuration } from '../lib/units.ts'

/** What every command that talks to registries takes. */
export interface RemoteOptions {
  config?: string
  plainHttp?: boolean
}

export interface ConfigOption {
  config?: string
}

export function addConfigOption(command: Command): Command {
  return command.option('-c, --config <file>', 'the config (else LONGSHORE_CONFIG, else ./longshore.yaml)')
}

export function addRemoteOptions(command: Command): Command {
  return addConfigOption(command).option('--plain-http', 'speak HTTP without TLS to the registries of this command')
}

/** Examples at the end of a command's help, one per line. */
export function addExamples(command: Command, ...examples: string[]): Command {
  const heading = examples.length === 1 ? 'Example:' : 'Examples:'
  return command.addHelpText('after', `\n${heading}\n${examples.map((line) => `  longshore ${line}`).join('\n')}`)
}

/** For an option that takes a duration of at least `minMs`. */
export function durationOption(minMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text)
    if (ms === undefined) throw new InvalidArgumentError('Write it as 30s, 5m or 1h.')
    if (ms < minMs) throw new InvalidArgumentError(`The least is ${minMs / 1000}s.`)
    return ms
  }
}

/** For an option that takes what the config's `schedule` takes as text. */
export function scheduleOption(text: string): Schedule {
  try {
    return parseSchedule(text)
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`)
  }
}

/** For an option that takes a whole number of at least 1. */
export function countOption(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It takes a whole number, 1 or more.')
  return Number(text)
}

/** For an option that may be given several times. */
export function collectOption(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value]
}

/** What every command that talks to a running server takes. */
export interface ServerOptions extends ConfigOption {
  server?: string
}

export function addServerOptions(command: Command): Command {
  return addConfigOption(command).option(
    '--server <url>',
    'the running server (else LONGSHORE_SERVER, else where the config says that it listens); LONGSHORE_TOKEN goes along',
  )
}

/** Of commands by which a person decides something. */
export interface ReasonOption {
  reason: string
}

export function addReasonOption(command: Command): Command {
  return command.option('--reason <text>', 'why, for those who read it later', '')
}
