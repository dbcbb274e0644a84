import type { CommandDeployerConfig } from './command/schema.ts'
import type { DeployForm } from './deployer.ts'
import type { HttpDeployerConfig } from './http/schema.ts'
import { nomadEnvironment } from './nomad/environment.ts'

export type { DeployerConfig } from './schemas.ts'

/**
 * The config's words for deployers; their schemas stand in `schemas.ts`. `paths`: keys that are paths, relative to the config
 * file. `forms`: what can go there. `environment`: variables that count where the file has none of the keys of a group.
 * `whyBytes`: why it needs the bytes of what is deployed to be kept here, as the end of a sentence; undefined where it does not.
 */
export const deployerTypes = {
  oci: {
    paths: [],
    forms: ['served', 'source'] satisfies DeployForm[],
    whyBytes: () => undefined,
    environment: [],
    load: () => import('./oci/index.ts'),
  },
  directory: {
    paths: ['root', 'pid_file'],
    forms: ['layers', 'unpacked', 'tarball'] satisfies DeployForm[],
    whyBytes: () => 'is a directory, which is to hold the files',
    environment: [],
    load: () => import('./directory/index.ts'),
  },
  command: {
    paths: ['cwd'],
    forms: ['tarball'] satisfies DeployForm[],
    whyBytes: ({ file }: CommandDeployerConfig) => (file ? 'gets the bundle as a file (file: true)' : undefined),
    environment: [],
    load: () => import('./command/index.ts'),
  },
  http: {
    paths: ['ca', 'cert', 'key'],
    forms: ['tarball'] satisfies DeployForm[],
    whyBytes: ({ body }: HttpDeployerConfig) =>
      body === 'bundle' ? 'is sent the bundle itself (body: bundle)' : undefined,
    environment: [],
    load: () => import('./http/index.ts'),
  },
  nomad: {
    paths: ['ca', 'cert', 'key'],
    forms: ['source'] satisfies DeployForm[],
    whyBytes: () => undefined,
    environment: nomadEnvironment,
    load: () => import('./nomad/index.ts'),
  },
}
