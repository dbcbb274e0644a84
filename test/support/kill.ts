import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkAll, checkEnd, checkStopped, leftovers } from './kill-check.ts'
import { seeded } from './kill-ledger.ts'
import { createWorker, isAlone, kinds, mostRequests, type Kind, type Worker } from './kill-work.ts'
import type { StateKind } from './kill-state.ts'
import { createWorld, type World } from './kill-world.ts'

export interface KillOptions {
  /** Where its state is; `sqlite` unless said. */
  state?: StateKind
  rounds: number
  /** The same seed gives the same rounds; when exactly a kill comes also depends on the machine. */
  seed: number
  /** A line for each round. */
  say: (line: string) => void
}

export interface KillReport {
  /** How many kills came in the midst of what: with a request of this work unanswered, or, as `start`, while it started. */
  byKind: Record<Kind | 'start', number>
  /** Changes that were acknowledged, and found afterwards. */
  acknowledged: number
  /** Files that processes were writing when they were killed. */
  leftovers: number
}

/** From when a request is under way, after whose beginning it is killed, to the kill. */
const longestMs = 40
/** It may be over by then: so often another one is waited for. */
const mostTries = 20
/** The longest that a start may go on before it is killed. */
const longestStartMs = 700
/** However slow the machine is: then it is killed in the middle of whatever it does. */
const patienceMs = 10_000
const roundsBetweenStops = 10

/**
 * Kills a server at a random moment of a random piece of work, again and again, and looks each time whether it stands up
 * again with all that it had acknowledged, and nothing by halves. Throws at the first thing that is not so.
 */
export async function runKills({ rounds, seed, say, state }: KillOptions): Promise<KillReport> {
  const world = await createWorld(seed, state)
  const plan = planOf(rounds, seeded(seed ^ 0x5eed))
  const report = { byKind: noneYet(), acknowledged: 0, leftovers: 0 }
  const seen = new Set<string>()
  try {
    for (const [at, kind] of plan.entries()) {
      const round = `round ${at + 1}/${rounds} ${kind}`
      const { line, left, isInMidst } = await killIn(world, kind).catch(inRound(round, seed))
      if (isInMidst) report.byKind[kind]++
      report.leftovers += left.length
      const startedAt = performance.now()
      await world.start().catch(inRound(`${round}: ${line}`, seed))
      const tookMs = Math.round(performance.now() - startedAt)
      await checkAll(world, left, seen).catch(inRound(`${round}: ${line}`, seed))
      say(`${round}: ${line}; ${left.length} left over; up again after ${tookMs} ms, ${world.ledger.acknowledged} kept`)
      if ((at + 1) % roundsBetweenStops !== 0) continue
      await checkStopped(world).catch(inRound(`${round}, stopped afterwards`, seed))
      await world.start()
    }
    await checkEnd(world).catch(inRound('at the end', seed))
    await checkStopped(world).catch(inRound('at the end, stopped', seed))
  } finally {
    await world.close()
  }
  return { ...report, acknowledged: world.ledger.acknowledged }
}

function inRound(round: string, seed: number): (error: unknown) => never {
  return (error) => {
    throw new Error(`seed ${seed}, ${round}: ${(error as Error).message}`, { cause: error })
  }
}

/** Each kind as often as any other, give or take one, in a random order. */
function planOf(rounds: number, random: () => number): (Kind | 'start')[] {
  const all = [...kinds, 'start' as const]
  const plan = Array.from({ length: rounds }, (_, at) => all[at % all.length]!)
  for (let at = plan.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    ;[plan[at], plan[other]] = [plan[other]!, plan[at]!]
  }
  return plan
}

function noneYet(): KillReport['byKind'] {
  return Object.fromEntries([...kinds, 'start'].map((kind) => [kind, 0])) as KillReport['byKind']
}

interface Killed {
  /** When, and what was in flight. */
  line: string
  left: string[]
  isInMidst: boolean
}

async function killIn(world: World, kind: Kind | 'start'): Promise<Killed> {
  const { random } = world
  if (kind === 'start') return killWhileStarting(world)
  if (kind === 'collect' && random() < 0.5) return killCollection(world)
  const others = kinds.filter((other) => other !== kind)
  const other = others[Math.floor(random() * others.length)]!
  const workers = [
    createWorker(world, kind, 0),
    ...(isAlone(kind) ? [] : [createWorker(world, kind, 1)]),
    createWorker(world, other, 2),
  ]
  const kill = { done: false }
  const work = Promise.all(workers.map((worker) => workUntil(worker, kill)))
  const isTime = kind === 'collect' ? timeInCollection(world) : timeInWork(world, workers[0]!)
  // What fails before the kill ends the wait.
  await Promise.race([work, until(isTime)])
  await Promise.race([work, untilInMidst(world, workers[0]!)])
  const inFlight = workers.map((worker) => `${worker.kind}: ${worker.step()}`)
  const isInMidst = workers[0]!.isUnderWay()
  kill.done = true
  await world.server.process.kill()
  await work
  return { line: `killed in ${inFlight.join(' | ')}`, left: leftovers(world), isInMidst }
}

function timeInWork({ random }: World, worker: Worker): () => boolean {
  const requests = 1 + Math.floor(random() * mostRequests[worker.kind])
  return () => worker.requests() >= requests
}

/** Soon after it began, or when so many files are gone. */
function timeInCollection({ random, folder }: World): () => boolean {
  const blobs = join(folder, 'data/blobs/sha256')
  const before = readdirSync(blobs)
  const gone = 1 + Math.floor(random() * 20)
  const at = performance.now() + random() * (random() < 0.5 ? 400 : patienceMs / 2)
  return () => {
    if (performance.now() > at) return true
    const now = new Set(readdirSync(blobs))
    return before.filter((name) => !now.has(name)).length >= gone
  }
}

/** Somewhere in it, not only at its beginning. */
async function untilInMidst({ random }: World, worker: Worker): Promise<void> {
  for (let tries = 0; tries < mostTries; tries++) {
    await until(() => worker.isUnderWay())
    await sleep(random() * longestMs)
    if (worker.isUnderWay()) return
  }
  await until(() => worker.isUnderWay())
}

async function until(isTime: () => boolean): Promise<void> {
  const patience = performance.now() + patienceMs
  while (!isTime() && performance.now() < patience) await sleep(1)
}

async function workUntil(worker: Worker, kill: { done: boolean }): Promise<void> {
  while (!kill.done) {
    try {
      await worker.run()
    } catch (error) {
      if (kill.done) return
      throw new Error(`${worker.kind} failed at ${worker.step()} before the kill: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
}

/** Killed, begun again, and killed before it is ready, or just after. */
async function killWhileStarting(world: World): Promise<Killed> {
  await world.server.process.kill()
  const left = leftovers(world)
  const afterMs = Math.round(world.random() * longestStartMs)
  await world.startAndKill(afterMs)
  return { line: `killed ${afterMs} ms after it was started`, left: [...left, ...leftovers(world)], isInMidst: true }
}

/** Without a server, as a person does it at night. */
async function killCollection(world: World): Promise<Killed> {
  await world.server.stop()
  world.ledger.release('blob ')
  let done = 0
  while (await world.collectAndKill(timeInCollection(world))) done++
  const before = done === 0 ? '' : `, after ${done} that came to their end`
  return { line: `killed in a collection without a server${before}`, left: leftovers(world), isInMidst: true }
}
