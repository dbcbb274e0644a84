import { resolve } from 'node:path'
import { Option } from 'commander'
import { unpackArtifact } from '../artifact/unpack.ts'
import { ConfigError } from '../lib/errors.ts'
import { shortestGapMs, type Schedule } from '../lib/schedule.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isLoopbackHost } from '../oci/reference.ts'
import { counted, formatDuration } from '../lib/units.ts'
import type { RawManifest, Source } from '../oci/target.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { describeError } from './exit.ts'
import { withReferences, type Opened } from './open-reference.ts'
import { addExamples, addRemoteOptions, scheduleOption, type RemoteOptions } from './options.ts'
import { imageOf, platformOf } from './platform.ts'
import { describePull, watchPull, type Pulled } from './watch-pull.ts'

interface PullOptions extends RemoteOptions {
  output: string
  platform?: string
  watch?: boolean
  schedule?: Schedule
}

const hourly: Schedule = { kind: 'interval', minMs: 54 * 60_000, maxMs: 66 * 60_000 }
const shortestRemoteMs = 5_000

export const addPull: AddCommand = (program, context) => {
  const command = program
    .command('pull')
    .summary("write an artifact's files into a folder")
    .description(
      "Write an artifact's files into a folder and nothing outside of it, once all of them are fetched and checked.",
    )
    .argument('<ref>', 'host/repository:tag, host/repository@sha256:… or oci-layout:DIR:tag')
    .requiredOption('-o, --output <dir>', 'the folder; made where there is none')
    .option('--platform <os/arch>', 'which member of an index (else the one for this machine)')
    .option('-w, --watch', 'go on, and keep the folder up to date until interrupted')
    .addOption(
      new Option('--schedule <when>', 'how often to look with --watch, as in the config').argParser(scheduleOption),
    )
    .action((ref: string, options: PullOptions) =>
      withReferences(context, options, async (open) => {
        const opened = await open(ref)
        if (options.watch === true) return watch(context, opened, options)
        if (options.schedule !== undefined) throw usage('--schedule goes with --watch')
        return pull(context, opened, options)
      }),
    )
  addExamples(
    addRemoteOptions(command),
    'pull ghcr.io/acme/policies:1.4.2 -o policy',
    'pull ghcr.io/acme/zones:stable -o /zones --watch --schedule 10m',
  )
}

/** As the deployer `directory` does it, without a server. */
async function watch(context: CommandContext, opened: Opened, options: PullOptions): Promise<void> {
  const { output, cwd, clock, signal } = context
  const { target, reference, full, host } = opened
  const schedule = options.schedule ?? hourly
  refuseHaste(schedule, host, clock.now())
  const folder = options.output
  await watchPull(target, {
    ...{ reference, schedule, clock, random: Math.random, signal },
    folder: resolve(cwd, folder),
    platform: options.platform ?? platformOf(process.platform, process.arch),
    onStart: () => output.note(`keeping ${folder} up to date with ${full}`),
    onSame: (digest) => output.note(`${folder} holds ${full} already: ${digest}`),
    onChange: (change: Pulled) => output.item({ reference: full, folder, ...change }, describePull(full, change)),
    onFailure: (error, waitMs) => output.warn(`${describeError(error)}\nlooking again in ${formatDuration(waitMs)}`),
  })
}

function refuseHaste(schedule: Schedule, host: string | undefined, nowMs: number): void {
  if (schedule.kind === 'off') throw usage('--schedule off never looks again: leave out --watch')
  if (host === undefined || isLoopbackHost(host)) return
  // 5s is 5 s, though jitter makes it a little less at times.
  const gapMs = schedule.kind === 'interval' ? (schedule.minMs + schedule.maxMs) / 2 : shortestGapMs(schedule, nowMs)
  if (gapMs !== undefined && gapMs < shortestRemoteMs) throw usage('--schedule looks more often than every 5s')
}

function usage(message: string): ConfigError {
  return new ConfigError(message, { code: 'usage' })
}

async function pull(context: CommandContext, opened: Opened, options: PullOptions): Promise<void> {
  const { output, cwd, signal } = context
  const { target, reference, full } = opened
  const platform = options.platform ?? platformOf(process.platform, process.arch)
  const raw = await imageOf(target, await target.manifest(reference, signal), platform, signal)
  const progress = output.progress(`pulling ${opened.text}`)
  let files: string[]
  try {
    const source = counting(target, raw, (done, total) => progress.update(done, total))
    files = await unpackArtifact(raw, source, resolve(cwd, options.output), { signal })
  } finally {
    progress.end()
  }
  const { digest } = raw
  output.result({ reference: full, digest, folder: options.output, files }, [
    `${options.output}: ${counted(files.length, 'file')}`,
    digest,
  ])
}

function counting(
  source: Source,
  raw: RawManifest,
  onProgress: (done: number, total: number) => void,
): Pick<Source, 'blob'> {
  const manifest = parseManifest(raw)
  const total = manifest.kind === 'image' ? manifest.layers.reduce((sum, { size }) => sum + size, 0) : 0
  let done = 0
  return {
    async *blob(descriptor, signal) {
      for await (const chunk of source.blob(descriptor, signal)) {
        done += chunk.length
        onProgress(done, total)
        yield chunk
      }
    },
  }
}
