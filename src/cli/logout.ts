import { removeCredentials } from '../oci/credential-store.ts'
import type { AddCommand } from './command.ts'
import { addExamples } from './options.ts'
import { dockerConfigFile, registryHost } from './registry-host.ts'

export const addLogout: AddCommand = (program, context) => {
  const command = program
    .command('logout')
    .summary('forget the credentials for a registry')
    .description('Forget the credentials for a registry, in the docker config and in the helper that it names.')
    .argument('<host>', 'the registry: ghcr.io, localhost:5000')
    .action(async (text: string) => {
      const host = registryHost(text)
      const removed = await removeCredentials(host, { path: dockerConfigFile(context.environment) })
      context.output.result({ host, removed }, removed ? `logged out of ${host}` : `nobody was logged in to ${host}`)
    })
  addExamples(command, 'logout ghcr.io')
}
