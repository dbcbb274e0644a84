import type { DeployerConfig } from '../deployers/types.ts'
import { canonicalHost, isLoopbackHost } from '../oci/reference.ts'
import type { StoreConfig } from '../stores/types.ts'
import type { CheckedConfig } from './schema.ts'

const own = 'this server'

export interface Addresses {
  /** One spelling for each place that can be read or written, whatever name the file gives it. */
  addressOf(part: StoreConfig | Extract<DeployerConfig, { type: 'oci' }>): string
  /** Whether that is a repository of the built-in registry, `repository` or, with a slash at its end, below it. */
  isOwn(address: string, repository: string): boolean
}

export function createAddresses(server: CheckedConfig['server']): Addresses {
  const ownHosts = ownHostsOf(server)
  return {
    addressOf(part) {
      if (part.type === 'bundle') return `${own}/bundles/${part.from}`
      if (part.type === 'local') return `${own}/${part.repository}`
      if (part.type === 'oci-layout') return part.path
      const [host = '', ...repository] = part.repository.split('/')
      const wire = wireAddress(host)
      return `${ownHosts.has(wire) ? own : wire}/${repository.join('/')}`
    },
    isOwn: (address, repository) =>
      repository.endsWith('/') ? address.startsWith(`${own}/${repository}`) : address === `${own}/${repository}`,
  }
}

function ownHostsOf({ listen, public_url: publicUrl }: CheckedConfig['server']): Set<string> {
  const { host, port } = listen
  const isEverywhere = host === '0.0.0.0' || /^[0:]+$/.test(host)
  const listening = wireAddress(`${isEverywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host}:${port}`)
  return new Set([listening, ...(publicUrl === undefined ? [] : [wireAddress(new URL(publicUrl).host)])])
}

/** The usual ports are left out, and this machine has one name. */
function wireAddress(host: string): string {
  const [, name = host, port] = /^(.*?)(?::(\d+))?$/.exec(canonicalHost(host)) ?? []
  const shown = isLoopbackHost(host) ? 'localhost' : name
  return port === undefined || port === '443' || port === '80' ? shown : `${shown}:${port}`
}
