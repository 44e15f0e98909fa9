/** Dates and times, with values: part of what all-types.it.test.ts runs. */
import { mariadb, none, type TypeCase } from './type-case.ts'
import { wireCodes } from '../../../connectors/mysql/values/column-types-codes.ts'

export const timeCases: readonly TypeCase[] = [
  {
    type: 'DATE',
    logical: 'date',
    values: [
      ["'1000-01-01'", '1000-01-01'],
      ["'9999-12-31'", '9999-12-31'],
      ["'1969-12-31'", '1969-12-31'],
      ["'2000-02-29'", '2000-02-29'],
      ["'0001-01-01'", '0001-01-01'],
      ["'0000-01-01'", '0001-01-01 BC'],
      none,
    ],
  },
  {
    type: 'DATE',
    name: 'no real dates, as null',
    logical: 'date',
    policies: { zeroDates: 'null' },
    session: "SET sql_mode = 'ALLOW_INVALID_DATES'",
    values: [
      ["'0000-00-00'", null],
      ["'2020-00-00'", null],
      ["'2020-01-00'", null],
      ["'2021-02-29'", null],
      ["'2020-02-31'", null],
      ["'2020-02-29'", '2020-02-29'],
    ],
  },
  {
    type: 'DATE',
    name: 'no real dates, as text',
    logical: 'text',
    policies: { zeroDates: 'text' },
    values: [
      ["'0000-00-00'", '0000-00-00'],
      ["'2020-00-00'", '2020-00-00'],
      ["'2020-02-31'", '2020-02-31'],
      ["'2020-02-29'", '2020-02-29'],
      none,
    ],
  },
  {
    type: 'DATETIME',
    name: 'as text',
    logical: 'text',
    policies: { zeroDates: 'text' },
    values: [
      ["'0000-00-00 00:00:00'", '0000-00-00 00:00:00'],
      ["'2020-00-00 01:02:03'", '2020-00-00 01:02:03'],
      ["'9999-12-31 23:59:59'", '9999-12-31 23:59:59'],
      none,
    ],
  },
  {
    type: 'DATETIME(4)',
    name: 'as text',
    logical: 'text',
    policies: { zeroDates: 'text' },
    values: [
      ["'0000-00-00 00:00:00'", '0000-00-00 00:00:00.0000'],
      ["'2020-01-01 01:02:03.5'", '2020-01-01 01:02:03.5000'],
    ],
  },
  {
    type: 'TIMESTAMP(3) NULL',
    name: 'as text',
    logical: 'text',
    policies: { zeroDates: 'text' },
    values: [
      ["'0000-00-00 00:00:00'", '0000-00-00 00:00:00.000'],
      ["'2020-01-01 01:02:03.5'", '2020-01-01 01:02:03.500'],
      ["'1970-01-01 00:00:01'", '1970-01-01 00:00:01.000'],
      none,
    ],
  },
  {
    type: 'DATETIME',
    logical: 'timestamp',
    session: "SET sql_mode = ''",
    values: [
      ["'1000-01-01 00:00:00'", '1000-01-01 00:00:00'],
      ["'9999-12-31 23:59:59'", '9999-12-31 23:59:59'],
      ["'0000-00-00 00:00:00'", null],
      none,
    ],
  },
  ...[1, 2, 3, 4, 5, 6].map((digits): TypeCase => {
    const fraction = '123456'.slice(0, digits)
    const nines = '999999'.slice(0, digits)
    return {
      type: `DATETIME(${digits})`,
      logical: 'timestamp',
      values: [
        [`'2020-01-01 00:00:00.${fraction}'`, `2020-01-01 00:00:00.${fraction}`],
        [`'9999-12-31 23:59:59.${nines}'`, `9999-12-31 23:59:59.${nines}`],
        [`'1969-12-31 23:59:59.${nines}'`, `1969-12-31 23:59:59.${nines}`],
        [`'1000-01-01 00:00:00.${fraction}'`, `1000-01-01 00:00:00.${fraction}`],
      ],
    }
  }),
  ...[0, 1, 2, 3, 4, 5, 6].map((digits): TypeCase => {
    const point = digits === 0 ? '' : '.'
    const nines = point + '999999'.slice(0, digits)
    const one = point + '000001'.slice(6 - digits)
    return {
      type: `TIME(${digits})`,
      name: 'negative and beyond a day',
      logical: 'time',
      values: [
        [`'838:59:58${nines}'`, `838:59:58${nines}`],
        [`'-838:59:58${nines}'`, `-838:59:58${nines}`],
        ["'838:59:59'", '838:59:59'],
        ["'-838:59:59'", '-838:59:59'],
        [`'-00:00:00${one}'`, digits === 0 ? '00:00:00' : `-00:00:00${one}`],
        [`'-00:00:01${nines}'`, `-00:00:01${nines}`],
        [`'00:00:00${one}'`, `00:00:00${one}`.replace(/^(\d\d:\d\d:\d\d)$/, '00:00:00')],
        ["'23:59:59'", '23:59:59'],
        ["'24:00:00'", '24:00:00'],
        ["'-24:00:00'", '-24:00:00'],
        none,
      ],
    }
  }),
  {
    type: 'TIMESTAMP NULL',
    name: 'with a zero date',
    logical: 'timestamptz',
    values: [
      ["'1970-01-01 00:00:01'", '1970-01-01 00:00:01+00'],
      ["'2038-01-19 03:14:07'", '2038-01-19 03:14:07+00'],
      ["'0000-00-00 00:00:00'", null],
      none,
    ],
  },
  {
    type: 'TIMESTAMP NULL',
    name: 'after 2038',
    on: ['mariadb-11.8'],
    logical: 'timestamptz',
    values: [["'2106-02-07 06:28:15'", '2106-02-07 06:28:15+00']],
  },
  ...[1, 3, 5, 6].map((digits): TypeCase => {
    const fraction = '987654'.slice(0, digits)
    return {
      type: `TIMESTAMP(${digits}) NULL`,
      logical: 'timestamptz',
      values: [[`'2020-06-01 12:34:56.${fraction}'`, `2020-06-01 12:34:56.${fraction}+00`]],
    }
  }),
]

/** MariaDB's formats from before 10.1, which it still writes when it is told to. The last cases of a run. */
export const oldFormatCases: readonly TypeCase[] = timeCases
  .filter(({ type, on }) => !type.startsWith('DATE ') && type !== 'DATE' && on === undefined)
  .map((each) => ({
    ...each,
    name: `${each.name ?? ''} in the format of before 10.1`.trim(),
    on: mariadb,
    codes: [wireCodes.time, wireCodes.datetime, wireCodes.timestamp],
    session: `SET sql_mode = '', GLOBAL mysql56_temporal_format = OFF`,
  }))
