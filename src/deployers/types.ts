import { z } from 'zod'
import { commandDeployerSchema } from './command/schema.ts'
import type { DeployForm } from './deployer.ts'
import { directoryDeployerSchema } from './directory/schema.ts'
import { httpDeployerSchema } from './http/schema.ts'
import { ociDeployerSchema } from './oci/schema.ts'

/** The config's words for deployers. `paths`: keys that are paths, relative to the config file. `forms`: what can go there. */
export const deployerTypes = {
  oci: {
    schema: ociDeployerSchema,
    paths: [],
    forms: ['served', 'source'] satisfies DeployForm[],
    load: () => import('./oci/index.ts'),
  },
  directory: {
    schema: directoryDeployerSchema,
    paths: ['root', 'pid_file'],
    forms: ['layers', 'unpacked', 'tarball'] satisfies DeployForm[],
    load: () => import('./directory/index.ts'),
  },
  command: {
    schema: commandDeployerSchema,
    paths: ['cwd'],
    forms: ['tarball'] satisfies DeployForm[],
    load: () => import('./command/index.ts'),
  },
  http: {
    schema: httpDeployerSchema,
    paths: ['ca', 'cert', 'key'],
    forms: ['tarball'] satisfies DeployForm[],
    load: () => import('./http/index.ts'),
  },
}

export const deployerSchema = z.discriminatedUnion('type', [
  ociDeployerSchema,
  directoryDeployerSchema,
  commandDeployerSchema,
  httpDeployerSchema,
])

export type DeployerConfig = z.output<typeof deployerSchema>
