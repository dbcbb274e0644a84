import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { formatProblems } from '../../../src/config/problems.ts'
import { jsonSchema } from '../../../src/config/schema.ts'
import { load, problems } from './load-text.ts'

const root = resolve(import.meta.dirname, '../../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Node {
  description?: string
  properties?: Record<string, Node>
  additionalProperties?: Node | boolean
  items?: Node
  anyOf?: Node[]
  oneOf?: Node[]
}

/** Every key of the schema: its path without the names that users choose. */
function keysOf(node: Node, path: string[] = []): { path: string[]; node: Node }[] {
  const inner = [...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((branch) => keysOf(branch, path))
  const below = [node.items, node.additionalProperties].flatMap((child) =>
    typeof child === 'object' ? keysOf(child, path) : [],
  )
  const own = Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
    { path: [...path, key], node: child },
    ...keysOf(child, [...path, key]),
  ])
  return [...inner, ...below, ...own]
}

const keys = keysOf(jsonSchema())

describe('the schema', () => {
  it('has a description for every key', () => {
    expect(keys.filter(({ node }) => node.description === undefined).map(({ path }) => path.join('.'))).toEqual([])
    expect(keys.length).toBeGreaterThan(60)
  })

  it('is the same each time', () => {
    expect(JSON.stringify(jsonSchema())).toBe(JSON.stringify(jsonSchema()))
  })

  it('shows what may be left out, with its default', () => {
    expect(keys.find(({ path }) => path.join('.') === 'server.listen')!.node).toMatchObject({
      type: 'string',
      default: '127.0.0.1:8085',
    })
    expect(jsonSchema()).not.toHaveProperty('required')
  })
})

/** Prose has one space behind its "#", an option none, or its indentation of two and more. */
function withOptions(text: string): string {
  return text.replace(/^( *)#(?=\S| {2})/gm, '$1')
}

describe('config/longshore.yaml', () => {
  const text = read('config/longshore.yaml')

  it('is right as it is', async () => {
    expect(await problems(text)).toEqual([])
  })

  it('is right with every option, but for the files that it names', async () => {
    const found = await problems(withOptions(text))
    expect(found.filter(({ message }) => !message.startsWith('cannot read'))).toEqual([])
    expect(found.length).toBeGreaterThan(0)
  })

  it('has every key, at its place', () => {
    const written = new Set(keysWritten(jsonSchema(), parse(withOptions(text))))
    // A store spelled out in place has the keys of one under `stores`, a schedule those of a bundle's; any secret may be a file.
    const elsewhere = /^bundles\.store\.|^content\.gc\.schedule\.|\.file$/
    const isElsewhere = (path: string) => elsewhere.test(path)
    const missing = keys.map(({ path }) => path.join('.')).filter((path) => !written.has(path) && !isElsewhere(path))
    expect(missing).toEqual([])
  })

  it('shows defaults that are the defaults', async () => {
    const option = (name: string) => new RegExp(`^#${name}:\\n(?:# .*\\n)*`, 'm').exec(text)![0]
    const shown = await load(withOptions(`${option('log')}${option('state')}${option('reconcile')}`))
    // A database has no default; what is said of one besides has.
    const given = /(?:^state:|^ {2}(?:type|url|password):).*$/gm
    const least = [...withOptions(option('state')).matchAll(given)].join('\n')
    const none = await load(least)
    expect([shown.log, shown.reconcile]).toEqual([none.log, none.reconcile])
    expect({ ...shown.state, tls: null }).toEqual({ ...none.state, type: 'postgres' })
    expect((await load('')).state).toEqual({ type: 'sqlite' })
  })
})

describe('docs/configuration.md', () => {
  const text = read('docs/configuration.md')

  it.each(keys.map(({ path }) => path.join('.')))('speaks of %s', (path) => {
    expect(text.includes(`\`${path.split('.').at(-1)}\``)).toBe(true)
  })

  it('has examples that are right', async () => {
    const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!)
    expect(examples.length).toBeGreaterThan(1)
    for (const example of examples) {
      const found = await problems(example, { env: { GHCR_TOKEN: 'ghcr-token' } })
      expect(found.filter(({ message }) => !message.startsWith('cannot read'))).toEqual([])
    }
  })

  it('shows errors as they are', async () => {
    const [, wrong, said] = /```yaml wrong\n([\s\S]*?)```[\s\S]*?```text\n([\s\S]*?)```/.exec(text)!
    expect(`${formatProblems(await problems(wrong!))}\n`).toBe(said)
  })
})

describe.each([
  'docs/from-the-coredns-plugin.md',
  'docs/from-the-registry-watcher.md',
  'src/deployers/nomad/readme.md',
])('%s', (path) => {
  it('shows a config that is right', async () => {
    const [, example] = /```yaml\n([\s\S]*?)```/.exec(read(path))!
    const found = await problems(example!)
    expect(found.filter(({ message }) => !message.startsWith('cannot read'))).toEqual([])
  })
})

describe('examples', () => {
  it('has a config for compose that is right', async () => {
    expect(await problems(read('examples/longshore.compose.yaml'))).toEqual([])
  })

  it.each(['opa-http.yaml', 'opa-oci.yaml', 'opa.compose.yaml', 'compose.yaml'])('%s is YAML', (name) => {
    expect(parse(read(`examples/${name}`))).toHaveProperty('services')
  })

  it('has a systemd unit that starts what is there, and gives it time to stop', async () => {
    const unit = read('examples/longshore.service')
    const { program, args } = /^ExecStart=\/usr\/bin\/env node \/opt\/longshore\/(?<program>\S+) (?<args>.+)$/m.exec(
      unit,
    )!.groups as { program: string; args: string }
    expect(existsSync(join(root, program))).toBe(true)
    const [command, option] = args.split(' ')
    expect({ command, option }).toEqual({ command: 'serve', option: '--config' })
    const stopMs = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1]) * 1000
    expect(stopMs).toBeGreaterThan((await load('')).server.shutdownTimeoutMs)
    const descriptors = Number(/^LimitNOFILE=(\d+)$/m.exec(unit)![1])
    expect(descriptors).toBeGreaterThan((await load('')).server.limits.maxConnections)
  })

  it.each(['policy', 'policy-v2'])('%s has its roots', (name) => {
    const manifest = JSON.parse(read(`examples/${name}/.manifest`)) as { roots: string[] }
    expect(manifest.roots).toEqual(['example'])
    expect(read(`examples/${name}/example/authz.rego`)).toContain('package example')
    expect(JSON.parse(read(`examples/${name}/example/data.json`))).toHaveProperty('users')
  })
})

/** The paths of `keysOf` that a file has. */
function keysWritten(node: Node, value: unknown, path: string[] = []): string[] {
  if (typeof value !== 'object' || value === null) return []
  const branches = [...(node.anyOf ?? []), ...(node.oneOf ?? [])]
  const inside = [node.items, node.additionalProperties].filter((child) => typeof child === 'object')
  return [
    ...branches.flatMap((branch) => keysWritten(branch, value, path)),
    ...inside.flatMap((child) => Object.values(value).flatMap((one) => keysWritten(child, one, path))),
    ...Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
      if (!Object.hasOwn(value, key)) return []
      const below = (value as Record<string, unknown>)[key]
      return [[...path, key].join('.'), ...keysWritten(child, below, [...path, key])]
    }),
  ]
}
