/** What numbers count that stand for a point in time. */
export const epochUnits = ['s', 'ms', 'us', 'ns'] as const
export type EpochUnit = (typeof epochUnits)[number]

/** One unit for all timestamp columns, or one for each of the columns named. */
export type EpochUnits = EpochUnit | Readonly<Record<string, EpochUnit>>
