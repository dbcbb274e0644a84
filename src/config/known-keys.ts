import type { Path } from './document.ts'
import { jsonSchema } from './schema.ts'

interface SchemaNode {
  properties?: Record<string, SchemaNode>
  additionalProperties?: SchemaNode | boolean
  items?: SchemaNode
  anyOf?: SchemaNode[]
  oneOf?: SchemaNode[]
  const?: unknown
}

let schema: SchemaNode | undefined

/** The keys that the mapping at `path` may have; `value` is the whole file, whose `type`s say which. */
export function keysAt(value: unknown, path: Path): string[] {
  // Milliseconds to make: for a thousand unknown keys, seconds.
  schema ??= jsonSchema()
  let nodes = [schema].flatMap((node) => branches(node, value))
  let current: unknown = value
  for (const part of path) {
    current = (current as Record<string, unknown> | undefined)?.[part]
    nodes = nodes.flatMap((node) => childOf(node, part)).flatMap((node) => branches(node, current))
  }
  return [...new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})))]
}

function childOf(node: SchemaNode, part: string | number): SchemaNode[] {
  if (typeof part === 'number') return node.items === undefined ? [] : [node.items]
  const own = node.properties?.[part]
  if (own !== undefined) return [own]
  return typeof node.additionalProperties === 'object' ? [node.additionalProperties] : []
}

function branches(node: SchemaNode, value: unknown): SchemaNode[] {
  const inner = [...(node.anyOf ?? []), ...(node.oneOf ?? [])]
  if (inner.length > 0) return inner.flatMap((branch) => branches(branch, value))
  const type = node.properties?.type?.const
  const isOther = type !== undefined && type !== (value as Record<string, unknown> | undefined)?.type
  return isOther ? [] : [node]
}
