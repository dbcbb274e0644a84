import type { Db } from '../schema.ts'
import { bundleOperations } from './bundles.ts'
import { catalogOperations } from './catalog.ts'
import { collectionOperations } from './collect.ts'
import { decisionOperations } from './decisions.ts'
import { deploymentOperations } from './deployments.ts'
import { eventOperations } from './events.ts'
import { factOperations } from './facts.ts'
import { outboxOperations } from './outbox.ts'
import { placementOperations } from './placements.ts'
import { promotionOperations } from './promotions.ts'
import { access, type Groups, type Operations } from './operation.ts'

export interface NamedOperation {
  access: 'read' | 'write'
  run(db: Db, args: unknown[]): Promise<unknown>
}

/** Every operation by the name that it is sent under: `catalog.blob`. */
export function nameOperations(): Map<string, NamedOperation> {
  const groups: { [Group in keyof Groups]: Operations<Groups[Group]> } = {
    catalog: catalogOperations,
    bundles: bundleOperations,
    deployments: deploymentOperations,
    collection: collectionOperations,
    decisions: decisionOperations,
    events: eventOperations,
    outbox: outboxOperations,
    placements: placementOperations,
    promotions: promotionOperations,
    facts: factOperations,
  }
  return new Map(
    Object.entries(access).flatMap(([group, methods]) =>
      Object.entries(methods).map(([method, kind]): [string, NamedOperation] => {
        const operations = groups[group as keyof Groups] as Record<
          string,
          (db: Db, ...args: unknown[]) => Promise<unknown>
        >
        return [`${group}.${method}`, { access: kind, run: (db, args) => operations[method]!(db, ...args) }]
      }),
    ),
  )
}
