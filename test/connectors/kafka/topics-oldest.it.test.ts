import { topicTests } from './topic-tests.ts'

topicTests('0.11')
