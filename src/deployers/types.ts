import { z } from 'zod'
import { ociDeployerSchema } from './oci/schema.ts'

/** The config's words for deployers. `paths`: keys that are paths, relative to the config file. */
export const deployerTypes = {
  oci: { schema: ociDeployerSchema, paths: [], load: () => import('./oci/index.ts') },
}

export const deployerSchema = z.discriminatedUnion('type', [ociDeployerSchema])

export type DeployerConfig = z.output<typeof deployerSchema>
