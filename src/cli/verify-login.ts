import { RemoteError } from '../lib/errors.ts'
import { createOciClient } from '../oci/client.ts'
import { settingsFor, type RegistrySettings } from '../oci/settings.ts'
import type { CommandContext } from './command.ts'
import { clientBasics, readRegistries } from './open-reference.ts'
import type { RemoteOptions } from './options.ts'

/**
 * Asks the registry whether it takes these credentials, and no others. `asked` is false where it lets anybody in, and so
 * does not say. Throws RemoteError `unauthorized` or `denied` when it does not take them.
 */
export async function verifyLogin(
  context: CommandContext,
  host: string,
  credential: { username: string; password: string },
  options: RemoteOptions,
): Promise<{ asked: boolean }> {
  const settings = withoutLogin(settingsFor(await readRegistries(context, options), host))
  let asked = false
  const client = createOciClient({
    ...clientBasics(context),
    dockerConfig: { paths: [] },
    registries: { [host]: { ...settings, ...credential } },
    onRequest: ({ status }) => {
      if (status === 401) asked = true
    },
  })
  try {
    await client.ping(host, context.signal)
    return { asked }
  } catch (error) {
    if (!(error instanceof RemoteError) || !['unauthorized', 'denied'].includes(error.code)) throw error
    throw new RemoteError(error.code, `${host} does not accept this user name and password`, {
      host,
      ...(error.status !== undefined && { status: error.status }),
      hint: 'Nothing was stored. Some registries want an access token where others want the password.',
      cause: error,
    })
  } finally {
    await client.close()
  }
}

function withoutLogin(settings: RegistrySettings): RegistrySettings {
  const { username: _username, password: _password, identityToken: _identity, token: _token, ...others } = settings
  return others
}
