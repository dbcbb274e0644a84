import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Deploy, Deployer } from '../../../src/deployers/deployer.ts'
import { createDeployer } from '../../../src/deployers/nomad/index.ts'
import { nomadDeployerSchema } from '../../../src/deployers/nomad/schema.ts'
import type { Job } from '../../../src/deployers/nomad/types.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { deployOf } from '../../conformance/deployer.ts'
import { createCertificates } from '../../support/certs.ts'
import { FakeClock } from '../../support/clock.ts'
import { deploymentOf, startFakeNomad, taskOf, type FakeNomad } from '../../support/fake-nomad.ts'
import { waitFor } from '../../support/wait.ts'

const { signal } = new AbortController()
let nomad: FakeNomad
let clock: FakeClock

beforeEach(async () => {
  clock = new FakeClock()
  nomad = await startFakeNomad()
})
afterEach(() => nomad.close())

function deployerOf(more: object = {}): Deployer {
  const config = { type: 'nomad', address: nomad.url, job: 'web', task: 'server', ...more }
  const registries = {
    repository: () => {
      throw new Error('not for this plugin')
    },
  }
  const redactor = new Redactor()
  const parsed = nomadDeployerSchema.parse(config)
  parsed.token?.introduce(redactor)
  parsed.vaultToken?.introduce(redactor)
  return createDeployer(parsed, { registries, logger: silentLogger, redactor, clock })
}

async function made(more: Partial<Deploy> = {}, release: object = {}): Promise<Deploy & { said: string[] }> {
  const said: string[] = []
  const what = await deployOf('one', release)
  return { ...what, said, origin: 'registry.test/shop/web', say: (text) => void said.push(text), ...more }
}

interface ReadTask {
  Config: { image: string }
}

const taskIn = (job: Job | undefined = nomad.job, at = 0) => job!.TaskGroups![0]!.Tasks![at] as unknown as ReadTask
const imageOf = (what: Deploy) => `registry.test/shop/web:v1.0.0@${what.release.sourceDigest}`

/** Lets the pauses pass that it makes, until it has ended. */
async function ended(deploying: Promise<void>): Promise<unknown> {
  let isOver = false
  const end = deploying.then(
    () => undefined,
    (error: unknown) => error,
  )
  void end.then(() => (isOver = true))
  await waitFor('the end', async () => {
    if (!isOver && (clock.nextInMs() ?? Infinity) <= 1_000) await clock.advance(1_000)
    return isOver
  })
  return end
}

/** Until it waits for a change at this path. */
async function waiting(path: string): Promise<void> {
  await waitFor(`a question at ${path} that is held`, () => {
    return nomad.asked.some((asked, at) => asked === `GET /v1/job/web/${path}` && nomad.queries[at]!.has('index'))
  })
}

describe('what is set', () => {
  it('is the image, by tag and digest, unless said', async () => {
    const what = await made()
    await deployerOf().deploy(what, signal)
    expect(taskIn().Config).toEqual({ image: imageOf(what), args: ['a', 'b'] })
    expect(nomad.job!.Meta).toEqual({ team: 'shop' })
    expect(what.said).toEqual([
      `registered job web, whose version was 0: config.image = ${imageOf(what)}`,
      'version 1 of job web is there',
    ])
  })

  it('has no tag where a digest is followed', async () => {
    const digest = `sha256:${'a'.repeat(64)}`
    const what = await made({}, { version: digest, sourceDigest: digest })
    await deployerOf().deploy(what, signal)
    expect(taskIn().Config.image).toBe(`registry.test/shop/web@${digest}`)
  })

  it('is whatever is at a path of the task, as text or in a list, and may be new in env, meta and config', async () => {
    const set = {
      'env.VERSION': '{version} of {bundle}, {release} at {place}',
      'meta.a.b': '{digest}',
      'config.args.1': '${NOMAD_ALLOC_ID}-{version}',
      'config.labels.v': '{version}',
      user: 'u',
    }
    await expect(async () => deployerOf({ set })).rejects.toThrow('expected a path in the task')
    const { user: _user, ...rest } = set
    const what = await made()
    await deployerOf({ set: rest }).deploy(what, signal)
    expect(taskIn()).toMatchObject({
      Env: { VERSION: 'v1.0.0 of authz, 1 at prod' },
      Meta: { 'a.b': what.release.sourceDigest },
      Config: { image: 'web:0', args: ['a', '${NOMAD_ALLOC_ID}-v1.0.0'], labels: { v: 'v1.0.0' } },
    })
  })

  it.each(['artifacts.0.GetterSource', 'config.args.2', 'config.image.deep', 'nowhere.x'])(
    'is an error at %s, where nothing is',
    async (path) => {
      await expect(deployerOf({ set: { [path]: 'x' } }).deploy(await made(), signal)).rejects.toMatchObject({
        code: 'bad_config',
        message: `the task server has nothing at ${path} that could be set`,
      })
      expect(nomad.registrations).toEqual([])
    },
  )

  it('leaves numbers that JavaScript cannot hold as they are, and all other tasks', async () => {
    await nomad.close()
    nomad = await startFakeNomad([taskOf('side'), taskOf('server')])
    const big = '1795274438953066001'
    nomad.refuse = (method, path) => {
      if (method !== 'GET' || path !== '/v1/job/web' || nomad.registrations.length > 0) return undefined
      return {
        status: 200,
        body: JSON.stringify({ ...nomad.job, SubmitTime: 0 }).replace('"SubmitTime":0', `"SubmitTime":${big}`),
      }
    }
    await deployerOf().deploy(await made(), signal)
    expect(nomad.registrations[0]).toContain(`"SubmitTime":${big}`)
    expect(taskIn(nomad.job, 0)).toEqual(taskOf('side'))
  })

  it('leaves keys as they are written, whatever V8 parsed before', async () => {
    JSON.parse('{"k":"v","a\\\\":"w"}')
    nomad.job!.Meta = { k: 'v', 'a\n': 'w' }
    await deployerOf().deploy(await made(), signal)
    // As it was sent: the other side reads it with the same V8.
    expect(nomad.registrations[0]).toContain(JSON.stringify('a\n'))
  })

  it('is refused where the task cannot be told, by the names of those that are there', async () => {
    nomad.job!.TaskGroups = ['a', 'b'].map((Name) => ({ Name, Tasks: [taskOf('server') as never] }))
    await expect(deployerOf().deploy(await made(), signal)).rejects.toMatchObject({
      message: 'the task server of job web is in the groups a, b',
      hint: 'Say which with `group`.',
    })
    await deployerOf({ group: 'b' }).deploy(await made(), signal)
    expect(nomad.job!.TaskGroups.map(({ Tasks }) => (Tasks![0] as unknown as ReadTask).Config.image)).toEqual([
      'web:0',
      imageOf(await made()),
    ])
    await expect(deployerOf({ task: 'other' }).deploy(await made(), signal)).rejects.toMatchObject({
      message: 'job web has no task other',
      hint: 'It has a/server, b/server.',
    })
  })
})

describe('who else registers the job', () => {
  it('is not overwritten: the job is read again, and their change stays', async () => {
    let times = 2
    nomad.beforeRegister = () => {
      if (times-- > 0) nomad.put((job) => ({ ...job, Meta: { ...job.Meta, theirs: String(times) } }))
    }
    const what = await made()
    expect(await ended(deployerOf().deploy(what, signal))).toBeUndefined()
    expect(nomad.registrations).toHaveLength(3)
    expect(nomad.job!.Meta).toEqual({ team: 'shop', theirs: '0' })
    expect(taskIn().Config.image).toBe(imageOf(what))
    expect(what.said[0]).toMatch(/the job changed meanwhile: .*Enforcing job modify index/)
  })

  it('is given up on after ten times', async () => {
    nomad.beforeRegister = () => void nomad.put((job) => job)
    expect(await ended(deployerOf().deploy(await made(), signal))).toMatchObject({
      code: 'conflict',
      message: 'job web was registered by others 10 times in a row',
    })
  })

  it('is followed where the values are the same, and told of where they are not', async () => {
    nomad.react = (_, job) => nomad.deployments.push(deploymentOf(job, 'running', 'Deployment is running'))
    const scaled = deployerOf().deploy(await made(), signal)
    await waiting('deployments')
    nomad.change(() => {
      nomad.deployments[0]!.Status = 'cancelled'
      nomad.deployments.push(
        deploymentOf(
          nomad.put((job) => ({ ...job, Priority: 70 })),
          'successful',
          '',
        ),
      )
    })
    expect(await ended(scaled)).toBeUndefined()

    const other = deployerOf().deploy(await made({}, { version: 'v2' }), signal)
    nomad.asked.length = nomad.queries.length = 0
    await waiting('deployments')
    nomad.change(() => {
      nomad.deployments.at(-1)!.Status = 'cancelled'
      nomad.put((job) => ({ ...job, TaskGroups: [{ Name: 'app', Tasks: [taskOf('server') as never] }] }))
    })
    expect(await ended(other)).toMatchObject({
      code: 'conflict',
      message: 'somebody registered version 4 of job web meanwhile, with other values',
    })
  })

  it('changes nothing of what is there when they change something else: it ran well with the same values', async () => {
    const what = await made()
    const deployer = deployerOf()
    await deployer.deploy(what, signal)
    const job = nomad.put((before) => ({ ...before, Priority: 70 }))
    nomad.deployments.push(deploymentOf(job, 'running', 'Deployment is running'))
    expect(await deployer.observe(what, signal)).toMatchObject({ settled: true })
    nomad.versions[1]!.Stable = false
    expect(await deployer.observe(what, signal)).toMatchObject({ settled: false })
  })
})

describe('how it ends', () => {
  const running = (words: string) => (_: FakeNomad, job: Job) =>
    void nomad.deployments.push(deploymentOf(job, 'running', words))

  it('is waited for without asking again and again', async () => {
    nomad.react = running('Deployment is running')
    const deployed = deployerOf().deploy(await made(), signal)
    await waiting('deployments')
    const { length } = nomad.asked
    expect(length).toBeLessThan(10)
    nomad.change(() => (nomad.deployments[0]!.Status = 'successful'))
    await deployed
    expect(nomad.queries.some((query) => query.get('wait') === '60s')).toBe(true)
  })

  it('is told of in the words of Nomad and of the task, once what it went back to has ended', async () => {
    nomad.react = running('Deployment is running')
    const deployed = deployerOf().deploy(await made(), signal)
    deployed.catch(() => undefined)
    await waiting('deployments')
    nomad.asked.length = nomad.queries.length = 0
    const events = [{ Type: 'Terminated', DisplayMessage: 'Exit Code: 3' }]
    nomad.change(() => {
      Object.assign(nomad.deployments[0]!, {
        Status: 'failed',
        StatusDescription: 'Failed due to unhealthy allocations',
      })
      nomad.allocations.push({ JobVersion: 1, TaskStates: { server: { State: 'dead', Events: events } } })
      const back = nomad.put((job) => ({ ...job, TaskGroups: nomad.versions[0]!.TaskGroups }))
      nomad.deployments.push(deploymentOf(back, 'running', 'Deployment is running'))
    })
    await waiting('deployments')
    nomad.change(() => (nomad.deployments[1]!.Status = 'successful'))
    await expect(deployed).rejects.toMatchObject({
      code: 'deployment_failed',
      message: expect.stringMatching(
        /: Failed due to unhealthy allocations \(server: Exit Code: 3\); version 2 with the older values runs$/,
      ),
    })
  })

  it('is tried again where it failed and stayed, with a mark, since an unchanged job is left alone', async () => {
    nomad.react = (_, job) =>
      void nomad.deployments.push(deploymentOf(job, 'failed', 'Failed due to progress deadline'))
    const what = await made()
    await expect(deployerOf().deploy(what, signal)).rejects.toMatchObject({ code: 'deployment_failed' })
    const { JobModifyIndex } = nomad.job!
    nomad.react = (_, job) => void nomad.deployments.push(deploymentOf(job, 'successful', ''))
    await deployerOf().deploy(what, signal)
    expect(nomad.job!.Meta).toEqual({ team: 'shop', longshore_deploy: `${what.idempotencyKey}#${JobModifyIndex}` })
    await deployerOf().deploy(what, signal)
    expect(nomad.registrations).toHaveLength(2)
  })

  it('is done at once for jobs without deployment and evaluation, such as periodic ones', async () => {
    nomad.react = () => undefined
    await deployerOf().deploy(await made(), signal)
    expect(await deployerOf().observe(await made(), signal)).toMatchObject({ settled: true })
  })

  it('is that of its allocations where there is no deployment', async () => {
    nomad.react = (_, job) => {
      nomad.evaluations.push({ Status: 'pending', JobModifyIndex: job.JobModifyIndex })
      nomad.allocations.push({ JobVersion: job.Version, DesiredStatus: 'run', ClientStatus: 'pending' })
    }
    const deployed = deployerOf().deploy(await made(), signal)
    await waiting('evaluations')
    nomad.change(() => (nomad.evaluations[0]!.Status = 'complete'))
    await waiting('allocations')
    nomad.change(() => (nomad.allocations[0]!.ClientStatus = 'running'))
    await deployed
    nomad.allocations[0]!.ClientStatus = 'failed'
    expect(await deployerOf().observe(await made(), signal)).toMatchObject({ settled: false })
  })

  it('is not that one task runs while another has yet to start, but for one that begins when all others have ended', async () => {
    await nomad.close()
    nomad = await startFakeNomad([
      taskOf('server'),
      taskOf('side'),
      taskOf('sweep', { Lifecycle: { Hook: 'poststop' } }),
    ])
    const states = (server: 'pending' | 'running') => ({
      server: { State: server, Events: null },
      side: { State: 'running' as const, Events: null },
      sweep: { State: 'pending' as const, Events: null },
    })
    nomad.react = (_, { Version: JobVersion, JobModifyIndex }) => {
      nomad.evaluations.push({ Status: 'complete', JobModifyIndex })
      const there = { JobVersion, DesiredStatus: 'run', ClientStatus: 'running', TaskGroup: 'app' }
      nomad.allocations.push({ ...there, TaskStates: states('pending') })
    }
    const deployed = deployerOf().deploy(await made(), signal)
    await waiting('allocations')
    expect(await deployerOf().observe(await made(), signal)).toMatchObject({ settled: false })
    nomad.change(() => (nomad.allocations[0]!.TaskStates = states('running')))
    await deployed
    expect(await deployerOf().observe(await made(), signal)).toMatchObject({ settled: true })
  })

  it('is a failed evaluation', async () => {
    nomad.react = (_, job) => {
      const StatusDescription = 'maximum attempts reached (5)'
      nomad.evaluations.push({ Status: 'failed', StatusDescription, JobModifyIndex: job.JobModifyIndex })
    }
    await expect(deployerOf().deploy(await made(), signal)).rejects.toMatchObject({
      message: expect.stringMatching(/its evaluation failed: maximum attempts reached \(5\)$/),
    })
  })

  it('is that it took too long, with what Nomad said to that, also where nothing has room for it', async () => {
    nomad.react = (_, job) => {
      const metric = {
        NodesEvaluated: 3,
        ConstraintFiltered: { 'missing drivers': 2 },
        DimensionExhausted: { memory: 1 },
      }
      const FailedTGAllocs = { app: metric }
      nomad.evaluations.push({ Status: 'blocked', JobModifyIndex: job.JobModifyIndex, FailedTGAllocs })
    }
    const deployed = deployerOf({ timeout: '2m' }).deploy(await made(), signal)
    deployed.catch(() => undefined)
    await waiting('evaluations')
    await clock.advance(120_000)
    expect(String(await ended(deployed))).toMatch(
      /took longer than 2m 0s: Nomad finds no room for it: app: constraint missing drivers on 2 of 3 nodes, exhausted memory on 1 of 3 nodes$/,
    )
  })

  it('is what the deployment waits for, where that came after it was asked for and before the evaluation was', async () => {
    nomad.refuse = (_, path) => {
      const { job, deployments, evaluations } = nomad
      if (!path.endsWith('/evaluations') || deployments.length > 0) return undefined
      const FailedTGAllocs = { app: { NodesEvaluated: 1, ConstraintFiltered: null, DimensionExhausted: { memory: 1 } } }
      deployments.push(deploymentOf(job!, 'running', 'Deployment is running'))
      evaluations.push({ Status: 'blocked', JobModifyIndex: job!.JobModifyIndex, FailedTGAllocs })
      return undefined
    }
    nomad.react = () => undefined
    const deployed = deployerOf({ timeout: '2m' }).deploy(await made(), signal)
    deployed.catch(() => undefined)
    await waiting('deployments')
    await clock.advance(120_000)
    expect(String(await ended(deployed))).toMatch(
      /took longer than 2m 0s: Deployment is running: app: exhausted memory on 1 of 1 nodes$/,
    )
  })

  it('is an error when the job vanishes meanwhile', async () => {
    nomad.react = running('Deployment is running')
    const deployed = deployerOf().deploy(await made(), signal)
    deployed.catch(() => undefined)
    await waiting('deployments')
    nomad.change(() => (nomad.job = undefined))
    await expect(deployed).rejects.toMatchObject({ code: 'not_found', message: 'there is no job web' })
  })

  it('ends with the signal', async () => {
    nomad.react = running('Deployment is running')
    const stop = new AbortController()
    const deployed = deployerOf().deploy(await made(), stop.signal)
    deployed.catch(() => undefined)
    await waiting('deployments')
    stop.abort(new Error('enough'))
    await expect(deployed).rejects.toThrow('enough')
  })
})

describe('a Nomad that cannot be asked', () => {
  it.each([
    [500, 'No cluster leader'],
    [403, 'Permission denied'],
  ])('half-way (%i) is asked again until it can', async (status, body) => {
    nomad.react = (_, job) => void nomad.deployments.push(deploymentOf(job, 'running', 'Deployment is running'))
    const deployed = deployerOf().deploy(await made(), signal)
    await waiting('deployments')
    let times = 3
    nomad.refuse = () => (times-- > 0 ? { status, body } : undefined)
    nomad.change(() => (nomad.deployments[0]!.Status = 'successful'))
    expect(await ended(deployed)).toBeUndefined()
    expect(times).toBeLessThan(0)
  })

  it('does not register twice where the answer to a registration is lost', async () => {
    nomad.losesAnswers = true
    const what = await made()
    expect(await ended(deployerOf().deploy(what, signal))).toBeUndefined()
    expect(nomad.registrations).toHaveLength(1)
    expect(what.said.at(-1)).toBe('version 1 of job web is there')
  })

  it('is an error at once where it says no to a registration', async () => {
    nomad.refuse = (method) => (method === 'POST' ? { status: 403, body: 'Permission denied' } : undefined)
    await expect(deployerOf().deploy(await made(), signal)).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringMatching(/^Nomad at 127.0.0.1:\d+ answered 403: Permission denied$/),
    })
    expect(nomad.job!.Version).toBe(0)
  })
})

describe('who asks', () => {
  it('speaks HTTPS as the certificates say, under the name that the other one has', async () => {
    const files = await createCertificates()
    const [ca, cert, key] = [files.ca, files.server.cert, files.server.key].map((path) => readFileSync(path))
    await nomad.close()
    nomad = await startFakeNomad(undefined, { ca: ca!, cert: cert!, key: key! })
    const own = { ca: files.ca, ...files.client }
    await deployerOf({ ...own, server_name: 'localhost' }).deploy(await made(), signal)
    expect(nomad.job!.Version).toBe(1)
    for (const wrong of [{}, { ca: files.ca }, { ...own, server_name: 'server.global.nomad' }]) {
      await expect(deployerOf(wrong).observe(await made(), signal)).rejects.toMatchObject({
        code: 'network',
        message: expect.stringMatching(/^Nomad at 127.0.0.1:\d+ cannot be reached: /),
      })
    }
  })

  it('shows its token, namespace and region with each question, and never says a secret', async () => {
    const secrets = { token: 'nomad-token-1', vault_token: 'vault-token-1' }
    const deployer = deployerOf({ ...secrets, namespace: 'shop', region: 'eu' })
    const what = await made()
    await deployer.deploy(what, signal)
    expect(new Set(nomad.headers.map((headers) => headers['x-nomad-token']))).toEqual(new Set(['nomad-token-1']))
    for (const query of nomad.queries) {
      expect([query.get('namespace'), query.get('region')]).toEqual(['shop', 'eu'])
    }
    expect(JSON.parse(nomad.registrations[0]!)).toMatchObject({ Job: { VaultToken: 'vault-token-1' } })
    nomad.refuse = (method) =>
      method === 'POST' ? { status: 400, body: 'bad nomad-token-1 vault-token-1' } : undefined
    const error = await ended(deployer.deploy(await made({}, { version: 'v2' }), signal))
    expect(error).toMatchObject({ message: expect.stringMatching(/answered 400: bad \*\*\* \*\*\*$/) })
    expect(what.said.join()).not.toMatch(/-token-1/)
  })
})
