import { join } from 'node:path'
import type { DockerConfig } from '../oci/credentials.ts'
import type { ProxySettings } from '../oci/dispatchers.ts'

/** What the process's environment says; an empty variable counts as unset. */
export interface Environment {
  /** LONGSHORE_CONFIG: the config file. */
  configFile: string | undefined
  /** LONGSHORE_SERVER and LONGSHORE_TOKEN: for commands that talk to a running server. */
  server: string | undefined
  token: string | undefined
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY, in lower case too, which goes first as curl has it. */
  proxy: ProxySettings
  /** Docker's and podman's files, in the order in which they are asked, and DOCKER_AUTH_CONFIG. */
  dockerConfig: DockerConfig
  /** Where `login` writes; undefined without DOCKER_CONFIG and HOME. */
  dockerConfigFile: string | undefined
  noColor: boolean
  /** For `${NAME}` in the config file: any variable, an empty one too. */
  get(name: string): string | undefined
}

/** The only reader of the environment. */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const first = (...names: string[]) =>
    names.map((name) => env[name]).find((value) => value !== undefined && value !== '')
  const httpProxy = first('http_proxy', 'HTTP_PROXY')
  const httpsProxy = first('https_proxy', 'HTTPS_PROXY')
  const noProxy = first('no_proxy', 'NO_PROXY')
  const inline = first('DOCKER_AUTH_CONFIG')
  const dockerConfigFile = dockerFile(first('DOCKER_CONFIG'), first('HOME'))
  const paths = [first('REGISTRY_AUTH_FILE'), dockerConfigFile, ...podmanFiles(first('XDG_RUNTIME_DIR'), first('HOME'))]
  return {
    configFile: first('LONGSHORE_CONFIG'),
    server: first('LONGSHORE_SERVER'),
    token: first('LONGSHORE_TOKEN'),
    proxy: {
      ...(httpProxy === undefined ? {} : { httpProxy }),
      ...(httpsProxy === undefined ? {} : { httpsProxy }),
      ...(noProxy === undefined ? {} : { noProxy }),
    },
    dockerConfig: {
      paths: paths.filter((path) => path !== undefined),
      ...(inline === undefined ? {} : { inline }),
    },
    dockerConfigFile,
    noColor: first('NO_COLOR') !== undefined,
    // It has what objects have, too: `${constructor}` is no variable.
    get: (name) => (Object.hasOwn(env, name) ? env[name] : undefined),
  }
}

/** https://docs.docker.com/reference/cli/docker/#environment-variables */
function dockerFile(folder: string | undefined, home: string | undefined): string | undefined {
  if (folder !== undefined) return join(folder, 'config.json')
  return home === undefined ? undefined : join(home, '.docker', 'config.json')
}

/** https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md */
function podmanFiles(runtime: string | undefined, home: string | undefined): (string | undefined)[] {
  return [runtime && join(runtime, 'containers', 'auth.json'), home && join(home, '.config', 'containers', 'auth.json')]
}
