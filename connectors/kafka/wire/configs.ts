/**
 * DescribeConfigs (32), of topics.
 *
 *   request = resources array(type int8 (2 = topic), name, keys array?(string)), [v1: synonyms bool]
 *   answer  = throttle int32, results array(error int16, message string?, type int8, name, configs array(name,
 *             value string?, read only bool, v0: is default bool | v1: source int8, sensitive bool,
 *             [v1: synonyms array(name, value string?, source int8)]))
 */
import type { Api } from './api.ts'

export interface DescribeConfigsRequest {
  readonly topics: readonly string[]
  readonly keys: readonly string[]
}

export interface TopicConfig {
  readonly error: number
  readonly topic: string
  readonly values: ReadonlyMap<string, string | null>
}

const topicType = 2

export const describeConfigs: Api<DescribeConfigsRequest, readonly TopicConfig[]> = {
  name: 'DescribeConfigs',
  key: 32,
  min: 0,
  max: 1,
  flexibleFrom: 4,
  write: (to, { topics, keys }, version) => {
    to.array(topics, (topic) => {
      to.int8(topicType).string(topic)
      to.array(keys, (key) => to.string(key))
    })
    if (version >= 1) to.bool(false)
  },
  read: (from, version) => {
    from.int32()
    return from.array((): TopicConfig => {
      const error = from.int16()
      from.nullableString()
      from.int8()
      const topic = from.string()
      const values = from.array(() => {
        const entry = [from.string(), from.nullableString()] as const
        from.bool()
        from.int8()
        from.bool()
        if (version >= 1) {
          from.array(() => [from.string(), from.nullableString(), from.int8()])
        }
        return entry
      })
      return { error, topic, values: new Map(values) }
    })
  },
}
