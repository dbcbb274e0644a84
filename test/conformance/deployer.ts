import { describe, expect, it } from 'vitest'
import { defaultLimits } from '../../src/artifact/limits.ts'
import { FinalError, StorageError } from '../../src/lib/errors.ts'
import { digestOf, type Digest } from '../../src/oci/digest.ts'
import type { RawManifest } from '../../src/oci/target.ts'
import type { Deploy, Deployer, DeployTo } from '../../src/deployers/deployer.ts'
import type { Release } from '../../src/model/release.ts'
import { imageOf, MemoryRepository } from '../support/repository.ts'

export interface DeployerUnderTest {
  deployer: Deployer
  /** What the place hands out now; undefined when it holds nothing. */
  held: () => Promise<Digest | undefined>
  /** The place itself cannot take anything away. */
  cannotRemove?: boolean
  /** It tells the place where the bytes are, and sends none. */
  sendsNoBytes?: boolean
}

const signal = new AbortController().signal

const takenOver = () => Promise.reject(new StorageError('locked', 'another one has taken over'))

/** A release as `bundles/NAME` would hold it. */
export async function deployOf(text: string, more: Partial<Release> = {}): Promise<Deploy & { raw: RawManifest }> {
  const source = new MemoryRepository('bundles/authz')
  const raw = await imageOf(source, [text])
  const release: Release = {
    bundle: 'authz',
    number: 1,
    bundleDigest: digestOf(text),
    size: text.length,
    manifestDigest: raw.digest,
    sourceDigest: raw.digest,
    form: 'original',
    version: 'v1.0.0',
    revision: null,
    activatedAt: 0,
    reason: 'first',
    kept: true,
    ...more,
  }
  const how = { form: 'served' as const, path: null, limits: defaultLimits, isForced: false }
  return {
    raw,
    release,
    place: 'prod',
    ...how,
    source,
    origin: 'elsewhere/policies',
    idempotencyKey: `authz/${raw.digest}`,
    say: () => undefined,
    check: () => Promise.resolve(),
  }
}

/** What every deployer promises. `open` gives an empty place each time, `how` is what it is asked for. */
export function testDeployer(kind: string, open: () => Promise<DeployerUnderTest>, how: Partial<DeployTo> = {}): void {
  const made = async (...release: Parameters<typeof deployOf>) => ({ ...(await deployOf(...release)), ...how })

  describe(`deployer ${kind}`, () => {
    it('finds nothing at an empty place', async () => {
      const { deployer } = await open()
      const said = await deployer.observe(await made('one'), signal)
      if (said !== undefined) expect(said).toEqual({ digest: null, settled: false })
    })

    it('puts a release there, and sees that it is', async () => {
      const { deployer, held } = await open()
      const what = await made('one')
      await deployer.deploy(what, signal)
      expect(await held()).toBe(what.raw.digest)
      const said = await deployer.observe(what, signal)
      if (said !== undefined) expect(said).toEqual({ digest: what.raw.digest, settled: true })
    })

    it('sees that another release is there, and puts this one in its place', async () => {
      const { deployer, held } = await open()
      const [one, two] = [await made('one'), await made('two', { number: 2 })]
      await deployer.deploy(one, signal)
      const said = await deployer.observe(two, signal)
      if (said !== undefined) expect(said).toEqual({ digest: one.raw.digest, settled: false })
      await deployer.deploy(two, signal)
      expect(await held()).toBe(two.raw.digest)
      await deployer.deploy(one, signal)
      expect(await held()).toBe(one.raw.digest)
    })

    it('may be asked twice for the same', async () => {
      const { deployer, held } = await open()
      const what = await made('one')
      await deployer.deploy(what, signal)
      await deployer.deploy(what, signal)
      expect(await held()).toBe(what.raw.digest)
    })

    it('takes away what it put there, where it can, and may be asked twice', async () => {
      const { deployer, held, cannotRemove = false } = await open()
      if (deployer.remove === undefined) return
      const [one, two] = [await made('one'), await made('two', { number: 2, version: 'v2.0.0' })]
      await deployer.deploy(one, signal)
      await deployer.deploy(two, signal)
      const { form, path, place, say, check } = two
      const removal = { bundle: 'authz', place, form, path, releases: [one.release, two.release], say, check }
      await deployer.remove({ ...removal, bundle: 'other', releases: [] }, signal)
      expect(await held()).toBe(two.raw.digest)
      await expect(deployer.remove({ ...removal, check: takenOver }, signal)).rejects.toMatchObject({ code: 'locked' })
      expect(await held()).toBe(two.raw.digest)
      if (cannotRemove) {
        // It is given up at once, and nothing changes.
        await expect(deployer.remove(removal, signal)).rejects.toBeInstanceOf(FinalError)
        expect(await held()).toBe(two.raw.digest)
        return
      }
      await deployer.remove(removal, signal)
      expect(await held()).toBeUndefined()
      expect(await deployer.observe(two, signal)).toEqual({ digest: null, settled: false })
      await deployer.remove(removal, signal)
      await deployer.deploy(one, signal)
      expect(await held()).toBe(one.raw.digest)
    })

    it('leaves the place as it was when a release cannot be read', async () => {
      const { deployer, held, sendsNoBytes = false } = await open()
      const [good, bad] = [await made('good'), await made('bad', { number: 2 })]
      await deployer.deploy(good, signal)
      ;(bad.source as MemoryRepository).blobs.delete(digestOf('bad'))
      const deployed = deployer.deploy(bad, signal)
      if (sendsNoBytes) return deployed
      await expect(deployed).rejects.toMatchObject({ code: 'not_found' })
      expect(await held()).toBe(good.raw.digest)
    })

    it('leaves the place to the instance that has taken over', async () => {
      const { deployer, held } = await open()
      const [before, late] = [await made('before'), await made('late', { number: 2 })]
      await deployer.deploy(before, signal)
      await expect(deployer.deploy({ ...late, check: takenOver }, signal)).rejects.toMatchObject({ code: 'locked' })
      expect(await held()).toBe(before.raw.digest)
    })

    it('stops when it is told to', async () => {
      const { deployer, held } = await open()
      const aborted = AbortSignal.abort(new Error('enough'))
      await expect(deployer.deploy(await made('one'), aborted)).rejects.toThrow('enough')
      expect(await held()).toBeUndefined()
    })

    it('says what it is and where it writes', async () => {
      const { deployer } = await open()
      expect(deployer.name).not.toBe('')
      expect(deployer.address).not.toBe('')
      await deployer.close?.()
    })
  })
}
