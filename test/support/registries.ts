import { hashSync } from 'bcryptjs'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { component, type ComponentName } from './components.ts'
import { isAnswering } from './http.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

export interface RegistryOptions {
  /** A folder to keep blobs in, for a registry that is started again with what it had; a new one by default. */
  storage?: string
  /** The same port again; a free one by default. */
  port?: number
  tls?: { cert: string; key: string; clientCa?: string }
  allowDelete?: boolean
}

export interface DistributionOptions extends RegistryOptions {
  /** Basic authentication: user → password. */
  users?: Record<string, string>
  /** Token authentication, as distribution's `auth.token`: realm, service, issuer, rootcertbundle. */
  token?: Record<string, unknown>
  /** Who is told of pushes and deletes. */
  notify?: (string | { url: string; headers: Record<string, string[]> })[]
  /** Laid over the configuration's top level. */
  config?: Record<string, unknown>
}

export interface Registry {
  /** `127.0.0.1:PORT`, as it stands in a reference. */
  host: string
  url: string
  port: number
  storage: string
  process: RunningProcess
  stop(): Promise<void>
}

/** distribution 3: no referrers API. */
export async function startDistributionV3(options: DistributionOptions = {}): Promise<Registry> {
  return startDistribution('distribution', options)
}

/** distribution 2 as Debian packages it. */
export async function startDistributionV2(options: DistributionOptions = {}): Promise<Registry> {
  return startDistribution('docker-registry', options)
}

/** olareg: has the referrers API; no authentication. */
export async function startOlareg(options: RegistryOptions = {}): Promise<Registry> {
  const { storage = tempDir('olareg'), port = await freePort(), tls, allowDelete = false } = options
  const args = ['serve', '--addr', '127.0.0.1', '--port', String(port), '--dir', storage, '--verbosity', 'info']
  if (allowDelete) args.push('--api-delete', '--api-blob-delete')
  if (tls !== undefined) args.push('--tls-cert', tls.cert, '--tls-key', tls.key)
  return start('olareg', args, port, storage, tls)
}

async function startDistribution(name: ComponentName, options: DistributionOptions): Promise<Registry> {
  const { storage = tempDir('registry'), port = await freePort(), tls } = options
  const config = join(tempDir('registry-config'), 'config.yml')
  writeFileSync(config, JSON.stringify(distributionConfig(options, storage, port)))
  return start(name, ['serve', config], port, storage, tls)
}

/** JSON is YAML too. */
function distributionConfig(options: DistributionOptions, rootdirectory: string, port: number) {
  const { tls, users, token, notify = [], allowDelete = false, config = {} } = options
  const auth = users === undefined ? token && { token } : { htpasswd: { realm: 'test', path: writeHtpasswd(users) } }
  return {
    version: '0.1',
    log: { level: 'info' },
    storage: { filesystem: { rootdirectory }, delete: { enabled: allowDelete } },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: 'for-tests',
      ...(tls && {
        tls: {
          certificate: tls.cert,
          key: tls.key,
          ...(tls.clientCa === undefined ? {} : { clientcas: [tls.clientCa] }),
        },
      }),
    },
    ...(auth && { auth }),
    ...(notify.length > 0 && {
      notifications: {
        endpoints: notify.map((endpoint, index) => ({
          name: `endpoint-${index}`,
          ...(typeof endpoint === 'string' ? { url: endpoint } : endpoint),
          // Not heard in time, it would be told again.
          timeout: '60s',
          threshold: 5,
          backoff: '100ms',
        })),
      },
    }),
    ...config,
  }
}

function writeHtpasswd(users: Record<string, string>): string {
  const path = join(tempDir('htpasswd'), 'htpasswd')
  const lines = Object.entries(users).map(([user, password]) => `${user}:${hashSync(password, 4)}`)
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

async function start(
  name: ComponentName,
  args: string[],
  port: number,
  storage: string,
  tls: RegistryOptions['tls'],
): Promise<Registry> {
  const host = `127.0.0.1:${port}`
  const url = `${tls === undefined ? 'http' : 'https'}://${host}`
  const process = await startProcess({
    command: component(name),
    args,
    name: `${name} at ${host}`,
    env: { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' },
    // With client certificates nobody here could finish a request, so it counts that the port is open.
    ready: () => isAnswering(port, tls === undefined ? `${url}/v2/` : undefined),
  })
  return { host, url, port, storage, process, stop: () => process.stop() }
}
