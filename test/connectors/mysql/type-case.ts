/** A column type with values and what they are read as; the tables of them are type-cases-*.ts. */
import type { MysqlServerName } from '../../services/mysql-servers.ts'
import type { ValuePolicies } from '../../../connectors/mysql/types.ts'

export interface TypeCase {
  /** As in DDL, after the column's name. */
  readonly type: string
  readonly name?: string
  /** The name of the logical type. */
  readonly logical: string
  /** SQL, and what `textAt` says; null = null. */
  readonly values: readonly (readonly [sql: string, text: string | null])[]
  readonly on?: readonly MysqlServerName[]
  readonly policies?: Partial<ValuePolicies>
  readonly isGenerated?: boolean
  /** Type bytes of which the table map has one. */
  readonly codes?: readonly number[]
  /** A statement before the table is made. */
  readonly session?: string
}

export const mysql: readonly MysqlServerName[] = ['mysql-9.7']
export const mariadb: readonly MysqlServerName[] = ['mariadb-10.11', 'mariadb-11.8']
/** The value null. */
export const none = ['NULL', null] as const
const utf8Hex = (text: string): string => Buffer.from(text).toString('hex')
/** A text in a column of any character set that has its characters. */
export const text = (value: string) =>
  [`CONVERT(x'${utf8Hex(value)}' USING utf8mb4)`, value] as const
