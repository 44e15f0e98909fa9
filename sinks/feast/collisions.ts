/**
 * Feast names the fields of a Redis hash by a hash of 32 bits. Two features of one entity whose names
 * have the same hash would overwrite each other without a word; nobody but us looks.
 */
import { SluiceError } from '../../core/errors/error.ts'
import { featureField } from './layout/murmur3.ts'
import { markField } from './redis/script.ts'
import type { FeatureView } from './view.ts'

/** Throws `sink.feast.collision` where two fields of views with the same entities have one name. */
export function refuseCollisions(views: readonly FeatureView[]): void {
  const owners = new Map<string, string>()
  for (const view of views) {
    const entities = view.entities.map(({ name }) => name).join('\0')
    const own = (field: Uint8Array, owner: string): void => {
      const place = `${entities}\0${Buffer.from(field).toString('hex')}`
      const other = owners.get(place)
      if (other !== undefined) {
        throw new SluiceError('sink.feast.collision', {
          message: `${other} and ${owner} have the same field in a Redis hash.`,
        })
      }
      owners.set(place, owner)
    }
    own(markField(view.stored), `Sluice's own field of view ${view.stored}`)
    for (const { name } of view.features) {
      own(featureField(view.stored, name), `${view.stored}:${name}`)
    }
  }
}
