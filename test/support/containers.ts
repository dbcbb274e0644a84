import { join } from 'node:path'
import { component } from './components.ts'
import { exec, execOk, type ExecOptions, type ExecResult } from './exec.ts'
import { tempDir } from './temp.ts'

type Tool = (args: string[], options?: ExecOptions) => Promise<ExecResult>

export interface ContainerStorage {
  root: string
  buildah: Tool
  podman: Tool
}

/** buildah and podman with a storage of their own, as root and without a daemon. Both reject unless they end with 0. */
export function createContainerStorage(): ContainerStorage {
  const root = tempDir('containers')
  const flags = ['--root', join(root, 'root'), '--runroot', join(root, 'run'), '--storage-driver', 'vfs']
  return {
    root,
    buildah: (args, options) =>
      execOk(component('buildah'), [...flags, ...args], {
        ...options,
        env: { BUILDAH_ISOLATION: 'chroot', ...options?.env },
      }),
    podman: (args, options) => execOk(component('podman'), [...flags, ...args], options),
  }
}

/** skopeo that asks for no policy file; its exit code is the caller's to judge. */
export function skopeo(args: string[], options?: ExecOptions): Promise<ExecResult> {
  return exec(component('skopeo'), ['--insecure-policy', ...args], options)
}
