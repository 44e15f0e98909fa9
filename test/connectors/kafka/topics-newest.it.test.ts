import { topicTests } from './topic-tests.ts'

topicTests('4.3')
