import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Digest } from '../../src/oci/digest.ts'
import { startPostgres } from './postgres.ts'

export type StateKind = 'sqlite' | 'postgres'

export interface Row {
  repository: string
  digest: Digest
  size: number
}

export interface Rows {
  manifests: Row[]
  blobs: Row[]
}

/** Where a server that is killed has its state. */
export interface KillState {
  kind: StateKind
  /** What its config says of it. */
  config: Record<string, unknown>
  /** What the catalog holds at this moment, read without longshore. */
  rows(): Promise<Rows>
  /** Who was killed holds the lease for a while: nobody is to wait for that here. */
  free(): Promise<void>
  stop(): Promise<void>
}

export async function createKillState(kind: StateKind, folder: string): Promise<KillState> {
  return kind === 'sqlite' ? sqliteState(folder) : postgresState()
}

function sqliteState(folder: string): KillState {
  return {
    kind: 'sqlite',
    config: {},
    rows: () => {
      const database = new DatabaseSync(join(folder, 'data/state.db'), { readOnly: true })
      try {
        database.exec('begin')
        const all = (table: string) => database.prepare(`select repository, digest, size from ${table}`).all()
        return Promise.resolve({ manifests: all('manifests'), blobs: all('blobs') } as unknown as Rows)
      } finally {
        database.close()
      }
    },
    free: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  }
}

async function postgresState(): Promise<KillState> {
  const server = await startPostgres()
  const url = await server.createDatabase()
  const part = (table: string) => `select '${table}' as part, repository, digest, size from ${table}`
  return {
    kind: 'postgres',
    // However long it is held up, nobody else is to take over.
    config: { state: { type: 'postgres', url, lease: { duration: '10m', renew: '500ms', poll: '100ms' } } },
    async rows() {
      const all = await server.query(url, `${part('manifests')} union all ${part('blobs')}`)
      const rows = all.map((row) => ({ ...row, size: Number(row.size) })) as (Row & { part: string })[]
      const of = (table: string) => rows.filter((row) => row.part === table)
      return { manifests: of('manifests'), blobs: of('blobs') }
    },
    async free() {
      const [found] = await server.query(url, `select to_regclass('leases') as leases`)
      if (found?.leases !== null) await server.query(url, 'update leases set until = clock_timestamp()')
    },
    stop: () => server.stop(),
  }
}
