/** The topics that a stream of a run's events may tell. */
import type { Received } from '@rlhf-streams/bus';
import { runOfLetter, type TopicName } from '@rlhf-streams/events';

/** Topics whose events belong to a run, or are about one. Only ever append: ids of events name them by their index. */
export const streamTopics = [
  'runs',
  'policy-versions',
  'training-metrics',
  'prompts',
  'rollouts',
  'rewards',
  'reference-logprobs',
  'demonstrations',
  'comparisons',
  'policy-replicas',
  'dead-letters',
  'steps',
  'thumbs',
] as const satisfies readonly TopicName[];
export type StreamTopic = (typeof streamTopics)[number];

/** The run that an event belongs to; of a dead letter, the run that its record was about. */
export const runOf = (event: Received<StreamTopic>): string | undefined =>
  event.topic === 'dead-letters' ? runOfLetter(event.data) : event.data.run;
