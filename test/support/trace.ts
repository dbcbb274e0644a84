import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { component } from './components.ts'
import { tempDir } from './temp.ts'
import { waitFor } from './wait.ts'

/** One system call that succeeded. */
export interface TracedCall {
  name: string
  /** Its arguments as strace writes them: a descriptor as `23</its/path>`, a string in quotes with escapes. */
  args: string
  /** When it began and when it had returned, as positions in the trace: one is over before the other when its end is smaller than the other's start. */
  start: number
  end: number
}

export interface Trace {
  /** Goes before the command: the process that is started is the command's own, which strace watches from outside. */
  under: string[]
  /** All calls; settles when the command has ended and everything is written. */
  calls(): Promise<TracedCall[]>
}

/** What bears on what is on the disk, and on who was told. */
const traced = [
  'write,writev,pwrite64,pwritev,sendto,sendmsg,ftruncate',
  'fsync,fdatasync,sync_file_range',
  'mkdir,mkdirat,rmdir,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat',
].join(',')

/** Watches a command and all of its threads with strace. */
export function createTrace(): Trace {
  const file = join(tempDir('trace'), 'strace')
  return {
    under: [component('strace'), '-D', '-f', '-y', '-s', '600', '-o', file, '-e', `trace=${traced}`],
    async calls() {
      const text = await waitFor('the trace to be complete', () => {
        const read = readFileSync(file, 'utf8')
        const first = read.slice(0, read.indexOf(' '))
        return new RegExp(`^${first} +\\+\\+\\+ (exited|killed)`, 'm').test(read) && read
      })
      return readCalls(text.split('\n'))
    },
  }
}

const whole = /^(\w+)\((.*)\) += (-?\d+)/s
const begun = /^(\w+)\((.*) <unfinished \.\.\.>$/s
const resumed = /^<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)/s

/** Each line is `PID CALL(ARGUMENTS) = RESULT`, in two pieces where another thread came in between. */
function readCalls(lines: readonly string[]): TracedCall[] {
  const calls: TracedCall[] = []
  const open = new Map<string, { args: string; start: number }>()
  for (const [at, line] of lines.entries()) {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/s.exec(line) ?? []
    const [, name, args = ''] = begun.exec(rest) ?? []
    if (name !== undefined) open.set(pid, { args, start: at })
    const one = whole.exec(rest)
    const end = resumed.exec(rest)
    if (one !== null && Number(one[3]) >= 0) calls.push({ name: one[1]!, args: one[2]!, start: at, end: at })
    const beginning = open.get(pid)
    if (end === null || beginning === undefined || Number(end[3]) < 0) continue
    calls.push({ name: end[1]!, args: beginning.args + end[2]!, start: beginning.start, end: at })
  }
  return calls.sort((a, b) => a.start - b.start)
}
