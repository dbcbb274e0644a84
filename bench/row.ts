/** One line of the table that `npm run bench` writes. All of it is for a person, but for `holds`. */
export interface Row {
  /** What was measured, on what. */
  what: string
  /** What came out: a ratio to what ran beside it in the same run, a count, or a latency of our own. */
  ours: string
  /** What ran beside it, with what came out there; empty where nothing did. */
  beside: string
  /** The bound on `ours`. */
  goal: string
  holds: boolean
}

export type Bench = () => AsyncGenerator<Row>
