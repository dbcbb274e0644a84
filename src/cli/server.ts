import type { CommandContext } from './command.ts'
import type { ServerOptions } from './options.ts'
import { findServer } from './server-address.ts'
import { ServerClient } from './server-client.ts'

/** Runs with a client of the server that the options name, and closes it. */
export async function withServer<T>(
  context: CommandContext,
  options: ServerOptions,
  run: (server: ServerClient) => Promise<T>,
): Promise<T> {
  const server = new ServerClient(await findServer(context, options), context.signal)
  try {
    return await run(server)
  } finally {
    await server.close()
  }
}
