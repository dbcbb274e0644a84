import { Resolver } from 'node:dns/promises'
import { createSocket } from 'node:dgram'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { component } from './components.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

export interface Coredns {
  process: RunningProcess
  /** The TXT record of a name as the server of this block answers it; the error's code where it answers with none. */
  text(block: string, name: string): Promise<string>
  stop(): Promise<void>
}

/** CoreDNS on 127.0.0.1 with a server for each block, whose lines are those of a Corefile. It looks for changes every 100 ms where they say `reload 100ms`. */
export async function startCoredns(blocks: Record<string, string[]>): Promise<Coredns> {
  const resolvers = new Map<string, Resolver>()
  const lines: string[] = []
  for (const [name, plugins] of Object.entries(blocks)) {
    const port = await freeUdpPort()
    const resolver = new Resolver({ timeout: 10_000, tries: 4 })
    resolver.setServers([`127.0.0.1:${port}`])
    resolvers.set(name, resolver)
    lines.push(`.:${port} {`, '  bind 127.0.0.1', '  errors', ...plugins.map((line) => `  ${line}`), '}')
  }
  const corefile = join(tempDir('coredns'), 'Corefile')
  writeFileSync(corefile, `${lines.join('\n')}\n`)
  const text: Coredns['text'] = async (block, name) => {
    try {
      return (await resolvers.get(block)!.resolveTxt(name)).flat().join()
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error)
    }
  }
  const process = await startProcess({
    command: component('coredns'),
    args: ['-conf', corefile],
    name: 'coredns',
    ready: async () => {
      const answers = await Promise.all([...resolvers.keys()].map((block) => text(block, 'ready.test')))
      return answers.every((answer) => answer !== 'ECONNREFUSED' && answer !== 'ETIMEOUT')
    },
  })
  return { process, text, stop: () => process.stop() }
}

async function freeUdpPort(): Promise<number> {
  for (;;) {
    const port = await freePort()
    const socket = createSocket('udp4')
    const { promise, resolve } = Promise.withResolvers<boolean>()
    socket.once('error', () => resolve(false))
    socket.bind(port, '127.0.0.1', () => resolve(true))
    const isFree = await promise
    if (isFree) await new Promise<void>((closed) => socket.close(closed))
    if (isFree) return port
  }
}
