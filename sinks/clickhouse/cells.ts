import type { Column } from '../../core/record/column.ts'
import type { LogicalType } from '../../core/record/types.ts'
import type { NativeWriter } from './native-writer.ts'
import type { ColumnType } from './types.ts'

/** Values of one column that are written, in that order. */
export interface Cells {
  readonly column: Column
  readonly type: LogicalType
  readonly rows: Int32Array
  /** 1 where the type's default is written instead of the value; null when nowhere. */
  readonly blank: Uint8Array | null
}

export type WriteValues = (out: NativeWriter, cells: Cells, type: ColumnType) => void
