import { z } from 'zod'
import type { Operation } from './operation.ts'
import { named } from './schemas.ts'

/** The OpenAPI description, made from the operations and the schemas that check them. https://spec.openapis.org/oas/v3.1.1 */
export function describeApi(operations: readonly Operation[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method.toLowerCase()]: describe(operation) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'longshore',
      version,
      description:
        'What is followed, served and deployed. Bundles themselves are at /bundles/NAME, the registry at /v2/.',
    },
    paths,
    components: {
      schemas: namedSchemas(),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic' },
      },
    },
  }
}

function describe(operation: Operation): Record<string, unknown> {
  const { summary, needs, path, query, body, answers } = operation
  const parameters = [
    ...(path.includes('{name}')
      ? [
          {
            name: 'name',
            in: 'path',
            required: true,
            description: "The bundle's name; slashes in it as they are, or as %2F",
            schema: { type: 'string' },
          },
        ]
      : []),
    ...Object.entries<z.ZodType>(query?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: 'query',
      schema: jsonSchema(schema),
    })),
  ]
  return {
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: { content: { 'application/json': { schema: jsonSchema(body) } } } }),
    ...(needs !== 'nothing' && {
      description: `Needs the right \`${needs.action}\`${needs.of === 'bundle' ? ' for `bundles/NAME`' : ''}.`,
    }),
    security: needs === 'nothing' ? [] : [{ bearer: [] }, { basic: [] }],
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, describeAnswer(answer)])),
      default: {
        description: 'Not done; the problem says why',
        content: { 'application/problem+json': { schema: { $ref: refTo('Problem') } } },
      },
    },
  }
}

function describeAnswer({ description, schema }: Operation['answers'][number]) {
  const content =
    schema === undefined
      ? { 'text/plain': { schema: { type: 'string' } } }
      : { 'application/json': { schema: { $ref: refTo(schema) } } }
  return { description, content }
}

function refTo(name: string): string {
  return `#/components/schemas/${name}`
}

function namedSchemas(): Record<string, unknown> {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, { uri: refTo, io: 'output' })
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, withoutIds(schema)]))
}

function jsonSchema(schema: z.core.$ZodType): Record<string, unknown> {
  return withoutIds(z.toJSONSchema(schema, { io: 'input' }))
}

/** Inside a description, `$id` and `$schema` say nothing that is not said around them. */
function withoutIds(schema: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !['$id', '$schema', '~standard'].includes(key)))
}
