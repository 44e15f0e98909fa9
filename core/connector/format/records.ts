/**
 * Records: messages that nobody has decoded yet, as places in one piece of memory. What a Kafka record
 * batch or the body of a request becomes before its format is looked at; no object a record.
 */
export interface Records {
  /** All ranges below are in here. Stays as it is until the records are decoded. */
  readonly bytes: Uint8Array
  readonly count: number
  /** Byte ranges [start, end), one a record; a start of −1 = null. */
  readonly keyStarts: Int32Array
  readonly keyEnds: Int32Array
  readonly valueStarts: Int32Array
  readonly valueEnds: Int32Array
  /** The headers as the source's protocol writes them; −1 = none. */
  readonly headerStarts: Int32Array
  readonly headerEnds: Int32Array
  /** Record time, µs since 1970. */
  readonly timesUs: Float64Array
  /** Place in its unit of order (a Kafka partition, a request), counted up. */
  readonly offsets: Float64Array
  /** The unit of order. */
  readonly partition: number
}
