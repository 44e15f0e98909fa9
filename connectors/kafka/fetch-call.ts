/** One Fetch request: by topic ids where the broker and we know them all, by names otherwise. */
import { AnswerMemory } from './answer-memory.ts'
import type { FetchedPartition, FetchLimits, FetchPosition } from './driver.ts'
import { brokerError } from './errors.ts'
import type { BrokerCalls } from './links.ts'
import { errorName } from './wire/error-names.ts'
import { fetch, fetchByIdFrom, type FetchAnswer, type FetchTopic } from './wire/fetch.ts'

/** Throws for the request as a whole; partitions tell their own errors. */
export async function fetchFrom(
  calls: BrokerCalls,
  positions: readonly FetchPosition[],
  limits: FetchLimits,
  ids: ReadonlyMap<string, string | null>,
): Promise<readonly FetchedPartition[]> {
  const topics = topicsOf(positions, ids)
  const version = calls.version(fetch)
  const isById = version >= fetchByIdFrom && topics.every(({ id }) => id !== null)
  const used = isById ? version : Math.min(version, fetchByIdFrom - 1)
  const answer = await calls.call(fetch, { topics, limits }, used)
  const error = errorName(answer.error)
  if (error !== null) throw brokerError(error, { what: `fetch of the broker at ${calls.where}` })
  const nameOfId = new Map(topics.map(({ id, name }) => [id, name]))
  const memory = calls.reuse === null ? null : memoryOf(answer, calls.reuse)
  return answer.topics.flatMap(({ topic, partitions }) => {
    const name = isById ? nameOfId.get(topic) : topic
    if (name === undefined) return []
    return partitions.map((fetched) => ({
      ...fetched,
      topic: name,
      isById,
      error: errorName(fetched.error),
      ...(memory === null ? {} : { memory }),
    }))
  })
}

/** One answer's; null where no partition is in it. */
function memoryOf(
  { topics }: FetchAnswer,
  reuse: (memory: ArrayBuffer) => void,
): AnswerMemory | null {
  const partitions = topics.flatMap((topic) => topic.partitions)
  const [first] = partitions
  if (first === undefined) return null
  return new AnswerMemory(first.records.buffer as ArrayBuffer, partitions.length, reuse)
}

function topicsOf(
  positions: readonly FetchPosition[],
  ids: ReadonlyMap<string, string | null>,
): readonly FetchTopic[] {
  const found = new Map<string, FetchPosition[]>()
  for (const position of positions) {
    const own = found.get(position.topic)
    if (own === undefined) found.set(position.topic, [position])
    else own.push(position)
  }
  return [...found].map(([name, partitions]) => ({
    name,
    id: partitions[0]?.id ?? ids.get(name) ?? null,
    partitions,
  }))
}
