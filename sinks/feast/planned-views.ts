/** The views of a sink, as far as the log knows the columns of their topics. */
import type { TopicInfo } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { FeastConfig } from './config.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import { Routes } from './routes.ts'
import { planView, type FeatureView } from './view.ts'

/**
 * In the order of the pipeline file; `names`: only these, null for all. Throws `sink.feast.no_view`, and
 * `sink.feast.no_topic_yet` for a view whose topic has no columns yet.
 */
export function plannedViews(
  config: FeastConfig,
  topics: readonly TopicInfo[],
  names: readonly string[] | null,
): readonly FeatureView[] {
  const routes = new Routes(
    config,
    topics.map(({ name }) => name),
  )
  const views = new Map<string, FeatureView>()
  for (const { name: topic, schema } of topics) {
    if (schema === null) continue
    for (const view of routes.viewsOf(topic)) {
      views.set(view, planView(config, view, topic, schema))
    }
  }
  const known = Object.keys(config.views)
  return (names ?? known).map((name) => {
    if (!known.includes(name)) {
      throw new SluiceError('sink.feast.no_view', {
        message: `There is no view ${JSON.stringify(name)}; ${didYouMean(name, known) ?? `there are: ${known.join(', ')}.`}`,
      })
    }
    const view = views.get(name)
    if (view !== undefined) return view
    throw new SluiceError('sink.feast.no_topic_yet', {
      message: `View ${name}: the log has no rows of its topic${topicText(config, name)} yet.`,
    })
  })
}

function topicText({ views }: FeastConfig, view: string): string {
  const topic = views[view]?.topic
  return topic === undefined ? '' : ` ${topic}`
}
