import { expect } from 'vitest'
import type { Limits } from '../../src/oci/limits.ts'
import { hostileRegistry, putArtifact, type Fault, type HostileReply, type Phase } from '../support/hostile-registry.ts'
import { waitFor } from '../support/wait.ts'
import { HastyClock, hostileClient, layerBytes, password, pushed, tags, username, type Operation } from './drive.ts'
import { heapGrowth, rounds, roundsBefore, settled, snapshot } from './leaks.ts'

/** A fault, and what is done with the registry that has it. */
export interface Class {
  name: string
  does: Operation
  faults: Partial<Record<Phase, Fault>>
  auth?: 'bearer' | 'basic'
  limits?: Partial<Limits>
  /** It takes real time: all rounds at once. */
  atOnce?: true
}

/** A hundred rounds with one client: afterwards there are no more descriptors, sockets, timers and bytes than before, and no slot is taken. */
export async function leavesNothing({ does, faults, auth, limits, atOnce }: Class): Promise<void> {
  const before = snapshot()
  const clock = new HastyClock()
  const pass = (ms: number) => clock.pass(ms)
  const registry = await hostileRegistry({ ...(auth && { auth }), username, password, pass })
  const artifact = putArtifact(registry, layerBytes)
  const bounds = { tries: 2, resumes: 1, circuitFailures: Infinity, concurrency: atOnce ? rounds : 3, ...limits }
  const client = hostileClient(registry, clock, { ...(auth && { auth }), limits: bounds })
  const about = { client, registry, artifact, clock, repository: client.repository(registry.name) }
  const met = { times: 0, rounds: 0 }
  for (const [phase, fault] of Object.entries(faults)) {
    registry.fault(phase as Phase, (reply, wire) => {
      met.times++
      return fault(reply, wire)
    })
  }
  const round = async () => {
    const before = met.times
    await does(about).catch(() => undefined)
    if (met.times > before) met.rounds++
    registry.blobs.delete(pushed.descriptor.digest)
    registry.requests.splice(2)
  }
  for (let at = 0; at < (atOnce ? 1 : roundsBefore); at++) await round()
  const growth = await heapGrowth()
  if (atOnce) await Promise.all(Array.from({ length: rounds }, round))
  else for (let at = 0; at < rounds; at++) await round()
  await growth()
  expect(met.rounds, 'rounds that met the fault').toBe(rounds + (atOnce ? 1 : roundsBefore))
  expect(clock.pending, 'timers of the client').toBe(0)
  // Connections are used again, or closed.
  await waitFor('unused connections to be closed', () => registry.openSockets() <= (atOnce ? rounds : 6))
  // Every slot was given back: a registry that is well again is asked at once.
  registry.heal()
  await clock.pass(60_000)
  expect(await tags(about)).toContain('latest')
  await client.close()
  await waitFor('all connections to be closed', () => registry.openSockets() === 0)
  await registry[Symbol.asyncDispose]()
  await settled(before)
}

/** Longer than what a client reads without being asked to. */
export function long(answer: HostileReply): HostileReply {
  return { ...answer, body: Buffer.alloc(300_000, ' ') }
}
