import type { Received } from '@rlhf-streams/bus';
import { runOfLetter } from '@rlhf-streams/events';
import type { StreamTopic } from './event-id.js';

/** The run that an event belongs to, or, of a dead letter, is about. */
export const runOf = (event: Received<StreamTopic>): string | undefined =>
  event.topic === 'dead-letters' ? runOfLetter(event.data) : event.data.run;
