import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bringComponents } from '../../scripts/components/bring.ts'
import { component, type ComponentName } from '../../test/support/components.ts'
import { isAnswering } from '../../test/support/http.ts'
import { freePort } from '../../test/support/ports.ts'
import { startProcess } from '../../test/support/process.ts'
import { tempDir } from '../../test/support/temp.ts'

/** What a server is started under: all of them share one core, the load generator has the other. */
export const onServerCore = ['taskset', '--cpu-list', '0'] as const
export const onClientCore = ['taskset', '--cpu-list', '1'] as const

/** One answer of those that stand beside ours. */
export interface Served {
  /** As in the URL. */
  path: string
  /** Quoted. */
  etag: string
  bytes: Uint8Array
}

export interface Server {
  name: string
  url: string
  pid: number
}

/** Throws with what could not be had. */
export async function bring(...names: ComponentName[]): Promise<void> {
  const missing = await bringComponents(names, console.log)
  if (missing.length > 0) throw new Error(missing.map(({ name, why }) => `${name} cannot be had: ${why}`).join('; '))
}

/** nginx with one worker and files, as Debian builds it. */
export async function startNginx(served: readonly Served[]): Promise<Server> {
  const [folder, port] = [tempDir('nginx'), await freePort()]
  for (const { path, bytes } of served) writeServed(join(folder, 'root', path), bytes)
  const config = join(folder, 'nginx.conf')
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr; user root;
     events { worker_connections 1024; }
     http {
       access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=100;
       default_type application/octet-stream; root ${folder}/root;
       client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
       uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
       server { listen 127.0.0.1:${port}; }
     }`,
  )
  return start('nginx', port, [component('nginx'), '-p', folder, '-c', config])
}

/** node:http with nothing around it. */
export async function startBare(served: readonly Served[]): Promise<Server> {
  const port = await freePort()
  const program = join(import.meta.dirname, 'bare.ts')
  return start('bare node:http', port, [process.execPath, program, String(port), ...argumentsOf(served)])
}

/** Go's net/http with nothing around it. */
export async function startGo(served: readonly Served[]): Promise<Server> {
  const [binary, port] = [join(tempDir('go'), 'server'), await freePort()]
  execFileSync('go', ['build', '-o', binary, '.'], { cwd: join(import.meta.dirname, 'go') })
  return start('Go net/http', port, [binary, `127.0.0.1:${port}`, ...argumentsOf(served)])
}

/** olareg over a folder, quiet: it writes a line for each request otherwise. */
export async function startOlaregPinned(): Promise<Server> {
  const port = await freePort()
  const args = [
    'serve',
    '--addr',
    '127.0.0.1',
    '--port',
    String(port),
    '--dir',
    tempDir('olareg'),
    '--verbosity',
    'error',
  ]
  return start('olareg', port, [component('olareg'), ...args])
}

async function start(name: string, port: number, command: readonly string[]): Promise<Server> {
  const [first, ...args] = [...onServerCore, ...command]
  const { pid } = await startProcess({ name, command: first, args, ready: () => isAnswering(port) })
  return { name, url: `http://127.0.0.1:${port}`, pid }
}

function argumentsOf(served: readonly Served[]): string[] {
  const folder = tempDir('served')
  return served.flatMap(({ path, etag, bytes }) => [path, etag, writeServed(join(folder, path), bytes)])
}

function writeServed(file: string, bytes: Uint8Array): string {
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, bytes)
  return file
}
