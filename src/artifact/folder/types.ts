import type { Digest } from '../../oci/digest.ts'
import type { Source } from '../../oci/target.ts'
import type { StagePart } from '../stage.ts'
import type { ArchiveLimits } from '../types.ts'

/** A folder that artifacts are kept up to date in. */
export interface FolderSpec {
  /** Absolute. */
  path: string
  /** Below it no link is followed on the way to `path`; null: whoever wrote `path` meant what it leads to. */
  within: string | null
  /** `files`: each file is replaced by itself. `swap`: `path` is a link that is put to a new folder. */
  mode: 'files' | 'swap'
  fileMode: number
  folderMode: number
  /** Null: whoever we are. */
  uid: number | null
  gid: number | null
}

/** What is to be in the folder. */
export interface FolderContent {
  /** Whose files they are: a bundle, a reference. Several owners may share a folder. */
  owner: string
  /** Of the manifest that they come from. */
  digest: Digest
  /** What was made of it: the same manifest in another form is other files. */
  form: string
  parts: readonly StagePart[]
  source: Pick<Source, 'blob'>
  limits: ArchiveLimits
  leadingSlash: 'allow' | 'refuse'
  /** Asked once everything is ready: throws where it is not to be put there any more. */
  mayPut?: () => Promise<void>
}

/** What an owner has in a folder. */
export interface Held {
  digest: Digest
  form: string
  /** Every file is there as it was written, and whoever was to be told of it was. */
  isSettled: boolean
}

/** Relative paths. */
export interface Change {
  written: string[]
  removed: string[]
}
