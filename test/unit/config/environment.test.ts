import { describe, expect, it } from 'vitest'
import { readEnvironment } from '../../../src/config/environment.ts'

describe('readEnvironment', () => {
  it('has nothing of an empty one', () => {
    expect(readEnvironment({})).toMatchObject({
      configFile: undefined,
      server: undefined,
      token: undefined,
      proxy: {},
      dockerConfig: { paths: [] },
      dockerConfigFile: undefined,
      noColor: false,
    })
  })

  it('counts empty variables as unset, but not for ${NAME}', () => {
    const environment = readEnvironment({ LONGSHORE_CONFIG: '', NO_COLOR: '', HTTP_PROXY: '', DOCKER_AUTH_CONFIG: '' })
    expect(environment).toMatchObject({ configFile: undefined, noColor: false, proxy: {} })
    expect(environment.dockerConfig).toEqual({ paths: [] })
    expect(environment.get('NO_COLOR')).toBe('')
    expect(environment.get('OTHER')).toBeUndefined()
  })

  it('takes our own', () => {
    const env = { LONGSHORE_CONFIG: 'c', LONGSHORE_SERVER: 's', LONGSHORE_TOKEN: 't', NO_COLOR: '1' }
    expect(readEnvironment(env)).toMatchObject({ configFile: 'c', server: 's', token: 't', noColor: true })
  })

  it('takes proxies in both cases, lower case first', () => {
    expect(readEnvironment({ HTTP_PROXY: 'a', HTTPS_PROXY: 'b', NO_PROXY: 'c' }).proxy).toEqual({
      httpProxy: 'a',
      httpsProxy: 'b',
      noProxy: 'c',
    })
    expect(readEnvironment({ HTTP_PROXY: 'a', http_proxy: 'z' }).proxy).toEqual({ httpProxy: 'z' })
  })

  it("finds docker's and podman's files", () => {
    expect(readEnvironment({ HOME: '/h', XDG_RUNTIME_DIR: '/run/user/1' }).dockerConfig.paths).toEqual([
      '/h/.docker/config.json',
      '/run/user/1/containers/auth.json',
      '/h/.config/containers/auth.json',
    ])
    const named = readEnvironment({
      HOME: '/h',
      DOCKER_CONFIG: '/d',
      REGISTRY_AUTH_FILE: '/r.json',
      DOCKER_AUTH_CONFIG: '{}',
    })
    expect(named.dockerConfig).toEqual({
      paths: ['/r.json', '/d/config.json', '/h/.config/containers/auth.json'],
      inline: '{}',
    })
    expect(named.dockerConfigFile).toBe('/d/config.json')
  })
})
