import { ConfigError } from '../lib/errors.ts'
import { saveCredentials } from '../oci/credential-store.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'
import { ask, askHidden, isTerminal, readPasswordFromStdin } from './password.ts'
import { dockerConfigFile, registryHost } from './registry-host.ts'
import { verifyLogin } from './verify-login.ts'

interface LoginOptions extends RemoteOptions {
  username?: string
  passwordStdin?: boolean
}

export const addLogin: AddCommand = (program, context) => {
  const command = program
    .command('login')
    .summary('log in to a registry')
    .description('Log in to a registry: asks it first, and keeps only what it accepts, where docker keeps it.')
    .argument('<host>', 'the registry: ghcr.io, localhost:5000')
    .option('-u, --username <name>', 'the user (else asked for)')
    .option('--password-stdin', 'take the password from stdin (else asked for, not shown)')
    .action((host: string, options: LoginOptions) => login(context, registryHost(host), options))
  addExamples(
    addRemoteOptions(command),
    'login ghcr.io -u ci',
    'login registry.example.com -u ci --password-stdin < password.txt',
  )
}

async function login(context: CommandContext, host: string, options: LoginOptions): Promise<void> {
  const { output, redactor, environment } = context
  const path = dockerConfigFile(environment)
  const username = options.username ?? (await askUsername(context, host, options))
  const password = options.passwordStdin
    ? await readPasswordFromStdin(context)
    : await askHidden(context, `Password for ${username} at ${host}: `)
  const credential = { username, password: redactor.add(password) }
  const { asked } = await verifyLogin(context, host, credential, options)
  if (!asked) output.warn(`${host} lets anybody in, so it could not be asked whether the password is right`)
  const { where } = await saveCredentials(host, credential, { path })
  output.result({ host, username, verified: asked, where }, `logged in to ${host} as ${username}; kept in ${where}`)
}

async function askUsername(context: CommandContext, host: string, options: LoginOptions): Promise<string> {
  if (options.passwordStdin === true || !isTerminal(context.stdin)) {
    throw new ConfigError(`cannot log in to ${host} without a user name`, {
      code: 'usage',
      hint: 'Give it with -u NAME.',
    })
  }
  const username = await ask(context, `User name at ${host}: `)
  if (username === '') throw new ConfigError('no user name was typed', { code: 'usage' })
  return username
}
