import { z } from 'zod'
import { commandDeployerSchema, type CommandDeployerConfig } from './command/schema.ts'
import type { DeployForm } from './deployer.ts'
import { directoryDeployerSchema } from './directory/schema.ts'
import { httpDeployerSchema, type HttpDeployerConfig } from './http/schema.ts'
import { ociDeployerSchema } from './oci/schema.ts'

/**
 * The config's words for deployers. `paths`: keys that are paths, relative to the config file. `forms`: what can go there.
 * `whyBytes`: why it needs the bytes of what is deployed to be kept here, as the end of a sentence; undefined where it does not.
 */
export const deployerTypes = {
  oci: {
    schema: ociDeployerSchema,
    paths: [],
    forms: ['served', 'source'] satisfies DeployForm[],
    whyBytes: () => undefined,
    load: () => import('./oci/index.ts'),
  },
  directory: {
    schema: directoryDeployerSchema,
    paths: ['root', 'pid_file'],
    forms: ['layers', 'unpacked', 'tarball'] satisfies DeployForm[],
    whyBytes: () => 'is a directory, which is to hold the files',
    load: () => import('./directory/index.ts'),
  },
  command: {
    schema: commandDeployerSchema,
    paths: ['cwd'],
    forms: ['tarball'] satisfies DeployForm[],
    whyBytes: ({ file }: CommandDeployerConfig) => (file ? 'gets the bundle as a file (file: true)' : undefined),
    load: () => import('./command/index.ts'),
  },
  http: {
    schema: httpDeployerSchema,
    paths: ['ca', 'cert', 'key'],
    forms: ['tarball'] satisfies DeployForm[],
    whyBytes: ({ body }: HttpDeployerConfig) =>
      body === 'bundle' ? 'is sent the bundle itself (body: bundle)' : undefined,
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
