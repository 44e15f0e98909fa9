/**
 * Kafka's jars from Maven Central, with what the older brokers need on Java 17: a ZooKeeper client that reads
 * addresses as Java 14 and later write them (ZOOKEEPER-3779, from 3.5.8 on), and the XML binding that Java 11
 * took out of its own library.
 */
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { once, servicesFolder } from './install.ts'

/**
 * 4.3: newest, without ZooKeeper. 2.8: the last line whose clients and tools still write the old formats, and
 * the first with PEM certificates. 0.11: the first with transactions and headers. 0.10: message sets only.
 */
export type KafkaVersion = '4.3' | '2.8' | '0.11' | '0.10'
export const kafkaVersions: readonly KafkaVersion[] = ['4.3', '2.8', '0.11', '0.10']
/** The newest, and the oldest that has all that the source knows of. */
export const newestAndOldest: readonly KafkaVersion[] = ['4.3', '0.11']

interface Recipe {
  readonly artifact: string
  readonly version: string
  /** Runs beside a ZooKeeper. */
  readonly zookeeper: boolean
}

export const kafkaRecipes: Readonly<Record<KafkaVersion, Recipe>> = {
  '4.3': { artifact: 'kafka_2.13', version: '4.3.1', zookeeper: false },
  '2.8': { artifact: 'kafka_2.13', version: '2.8.2', zookeeper: true },
  '0.11': { artifact: 'kafka_2.12', version: '0.11.0.3', zookeeper: true },
  '0.10': { artifact: 'kafka_2.12', version: '0.10.2.2', zookeeper: true },
}

/** Fetches the jars once; returns their folder. Throws where Maven or its network is missing. */
export async function installKafka(version: KafkaVersion): Promise<string> {
  const folder = join(servicesFolder(), `kafka-${kafkaRecipes[version].version}`)
  await once(folder, async (into) => {
    const pom = join(into, 'pom.xml')
    writeFileSync(pom, pomOf(version))
    const log = join(into, 'install.log')
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${into}`]
    const words = ['-q', '-B', '-l', log, '-f', pom, ...goal, '-DincludeScope=runtime']
    try {
      await promisify(execFile)('mvn', words)
    } catch (error) {
      throw new Error(`maven: ${lastLines(log)}`, { cause: error })
    }
    // Two bindings of its logger would quarrel on standard error.
    for (const name of readdirSync(into).filter((entry) => entry.startsWith('slf4j-log4j12'))) {
      rmSync(join(into, name))
    }
  })
  return folder
}

function pomOf(version: KafkaVersion): string {
  const recipe = kafkaRecipes[version]
  const old = version === '0.10' || version === '0.11'
  const dependencies = [
    dependency('org.apache.kafka', recipe.artifact, recipe.version),
    dependency('org.slf4j', 'slf4j-nop', '1.7.36'),
    ...(old
      ? [
          dependency('org.apache.zookeeper', 'zookeeper', '3.5.9'),
          dependency('javax.xml.bind', 'jaxb-api', '2.3.1'),
        ]
      : []),
    ...(version === '4.3' ? [dependency('org.apache.kafka', 'kafka-tools', recipe.version)] : []),
  ]
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>${dependencies.join('')}</dependencies></project>`
}

function dependency(group: string, artifact: string, version: string): string {
  return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
}

function lastLines(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-1500)
  } catch {
    return 'mvn could not be run'
  }
}
