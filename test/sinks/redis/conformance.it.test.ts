import { sinkConformance } from '../../conformance/sink.ts'
import { startHarness } from './harness.ts'

sinkConformance('redis, a hash a row, on Redis 7', () => startHarness('redis-7'))
sinkConformance('redis, a hash a row, on Valkey 9', () => startHarness('valkey-9'))
