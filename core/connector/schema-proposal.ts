/** A schema read off some records of a topic: what `sluice schema infer` asks a source for. */
export interface SchemaQuestion {
  /** Without the source's name; null = the only one there is, or an error that lists them. */
  readonly topic: string | null
  /** Look at so many records, if there are as many. */
  readonly recordsMax: number
  /** Look at these, files with bodies, answers or messages as they were saved, and ask nobody. */
  readonly samples?: readonly Uint8Array[]
}

export interface SchemaProposal {
  readonly topic: string
  /** Column → type as `schema:` has it, in the order of the records' own members. */
  readonly schema: Readonly<Record<string, string>>
  /** Records looked at. */
  readonly records: number
  /** What its reader should know: a column that was always null, one whose values differ in kind. */
  readonly remarks: readonly string[]
  /** Where `schema` belongs, below the source's entry in the pipeline file: `['topics', 'orders']`. */
  readonly path: readonly string[]
}
