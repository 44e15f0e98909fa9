/** What the offline log needs to know of a view. */
import type { FeatureView } from '../view.ts'
import type { OfflineView } from './layout.ts'

export function offlineView(view: FeatureView): OfflineView {
  const entities = view.entities.map((entity) => ({
    ...entity,
    type: { kind: 'scalar' as const, name: entity.type },
  }))
  return { ...view, entities }
}
