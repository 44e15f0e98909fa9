/** Why a change event is set aside, where that is not a value's fault. */
import type { ReadFault } from '../../../core/connector/format/format.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Part } from './event-reader.ts'

const fault = (message: string): ReadFault => ({ field: null, message })

export const noRegistry = fault(
  'it begins with the schema id of a registry, and there is no `registry` to ask for it',
)
export const unknownOp = fault('its `op` is none that Debezium has')
export const updateWithoutKey = fault(
  'an update in a topic without key: say in `key` which columns name a row, or set before: full where the table has REPLICA IDENTITY FULL',
)
export const deleteWithoutKey = fault(
  'a delete in a topic without key: say in `key` which columns name a row, or set before: full where the table has REPLICA IDENTITY FULL',
)
export const noWholeRow = fault(
  'it does not hold the whole row before, which before: full needs: set before: key, or REPLICA IDENTITY FULL on the table',
)
export const tombstoneOfWhole = fault(
  'a tombstone without its delete, in a topic of whole rows: it does not say which row goes; set before: key',
)
export const tombstoneWithoutKey = fault('has no value, and no key to delete a row by')
export const unknownColumns = fault(
  'a tombstone before any row: the columns of the topic are not known yet; try it again after the first row',
)
export const nullKey = fault('a key column, is null or missing')
export const unchangedWithoutKey = fault(
  'a value was left out as unchanged, and without key nothing tells of which row',
)
export const unchangedMoved = fault(
  'a value was left out as unchanged while the key changed, and the row of the old key is gone already',
)

export function noRow(part: Part): ReadFault {
  return fault(`it has no row in \`${part}\``)
}

export const schemaMissing = fault(
  'it has no schema beside it, or none that can be read, as the records before it had',
)

/** Of JSON without schemas, in a topic of which the pipeline file says no columns. */
export function noSchema(topic: string): SluiceError {
  return new SluiceError('format.schema', {
    message: `${topic}: the change events have no schema beside them (schemas.enable is false), and \`schema\` says no columns`,
    remedy:
      'Give the columns of the topic and their types in `schema`; `sluice schema infer` proposes some. Or let Debezium write schemas: a registry, or value.converter.schemas.enable=true.',
  })
}
