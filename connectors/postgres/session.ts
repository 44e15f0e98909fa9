/**
 * Session settings under which the server prints values. The stream and the snapshot both get their
 * values from the types' output functions, so that under the same settings equal values have equal
 * text, and values.ts reads exactly this format. A role's or database's own settings are overridden.
 */
export const sessionSettings: Readonly<Record<string, string>> = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  IntervalStyle: 'iso_8601',
  // From 1 on PostgreSQL 12+ prints the shortest text that reads back as the same float; 3 is what
  // older servers need for that.
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  // The stream has to hear of a publication that is missing, which PostgreSQL 18 only warns about.
  client_min_messages: 'warning',
  // regclass and its like are printed qualified or not depending on it.
  search_path: '',
}

/** The settings as one text of SQL statements, to be run first on every connection that reads values. */
export const sessionSettingsSql: string = Object.entries(sessionSettings)
  .map(([name, value]) => `SET ${name} = '${value}'`)
  .join('; ')
