/** Every bound of the client, with its reason. Milliseconds and bytes. */
export interface Limits {
  /** Requests of one kind at a time per host: metadata, downloads and uploads each have as many. */
  concurrency: number
  /** Tries of one call, the first included. */
  tries: number
  backoffFirstMs: number
  backoffFactor: number
  backoffCapMs: number
  /** How long one call may wait in all, for backoff, `Retry-After` and pauses; what would take longer fails at once, and says until when. */
  waitBudgetMs: number
  /** Failures in a row, over all calls, after which a registry is left alone … */
  circuitFailures: number
  /** … for this long; then one call tries it. No longer than the shortest interval of looks, spread included, so that each look asks. */
  circuitOpenMs: number
  connectMs: number
  /** From the end of the request to the headers of the answer. */
  headersMs: number
  /** Without one byte in the body of an answer, or of an upload. */
  stallMs: number
  /** A download that brings less than this in each `slowMs` is not worth its slot: a byte a second would hold it for years. */
  slowBytes: number
  slowMs: number
  /** A manifest, list or token in all; of a blob, the headers. Its bytes have no such bound: they may be many and the line slow. */
  metadataMs: number
  /** From the last byte of an upload to the answer: registries hash, and move the blob into their storage. */
  commitMs: number
  /** Ends uploads that were given up. */
  cancelMs: number
  redirects: number
  /** Tag lists, catalogs and referrers. */
  metadataBytes: number
  /** All pages of one list together: it is held in memory. */
  listBytes: number
  tokenBytes: number
  /** Pages of a list: a registry that repeats itself in new words must come to an end. */
  pages: number
  /** Continuations of one download: each may bring as little as one byte. */
  resumes: number
  /** A token without, or with a shorter lifetime is taken to live this long. https://distribution.github.io/distribution/spec/auth/token/ */
  tokenLifeMs: number
  /** Tokens are renewed this much before they end, so that they do not end on the way. */
  tokenEarlyMs: number
  tokens: number
  /** Credentials are looked up again after this: helpers start a process each time. */
  credentialsMs: number
  /** GHCR takes 4 MiB at most. */
  chunkBytes: number
  /** What `OCI-Chunk-Min-Length` may ask for: a chunk is held in memory. */
  chunkMaxBytes: number
}

export const defaultLimits: Limits = {
  concurrency: 3,
  tries: 5,
  backoffFirstMs: 250,
  backoffFactor: 2,
  backoffCapMs: 30_000,
  waitBudgetMs: 120_000,
  circuitFailures: 10,
  circuitOpenMs: 4_500,
  connectMs: 10_000,
  headersMs: 30_000,
  stallMs: 30_000,
  slowBytes: 64 * 1024,
  slowMs: 60_000,
  metadataMs: 60_000,
  commitMs: 300_000,
  cancelMs: 5_000,
  redirects: 10,
  metadataBytes: 4 * 1024 * 1024,
  listBytes: 64 * 1024 * 1024,
  tokenBytes: 128 * 1024,
  pages: 1_000,
  resumes: 50,
  tokenLifeMs: 60_000,
  tokenEarlyMs: 5_000,
  tokens: 1_000,
  credentialsMs: 60_000,
  chunkBytes: 4 * 1024 * 1024,
  chunkMaxBytes: 64 * 1024 * 1024,
}
