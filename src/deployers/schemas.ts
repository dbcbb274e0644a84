import { z } from 'zod'
import { commandDeployerSchema } from './command/schema.ts'
import { directoryDeployerSchema } from './directory/schema.ts'
import { httpDeployerSchema } from './http/schema.ts'
import { nomadDeployerSchema } from './nomad/schema.ts'
import { ociDeployerSchema } from './oci/schema.ts'

/** A deployer as the config has it, whatever its kind. */
export const deployerSchema = z.discriminatedUnion('type', [
  ociDeployerSchema,
  directoryDeployerSchema,
  commandDeployerSchema,
  httpDeployerSchema,
  nomadDeployerSchema,
])

export type DeployerConfig = z.output<typeof deployerSchema>
