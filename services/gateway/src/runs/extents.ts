/** Where the events of ended runs lie on further topics: searched for once, and remembered for all readers. */

import type { Events } from '@rlhf-streams/bus';
import type { Positions } from '@rlhf-streams/log';
import { runOf, type StreamTopic } from './stream-topics.js';

/** The offsets of a run's first and last event in a partition. */
export interface Extent {
  readonly partition: number;
  readonly first: number;
  readonly last: number;
}

export interface Extents {
  /**
   * The extents of an ended run on a topic, between `start` and the end that the topic has at the first call.
   * @param lives how many times the run has ended: an extended run is searched for again after each end
   */
  readonly of: (
    run: string,
    topic: StreamTopic,
    start: Positions,
    lives: number,
  ) => Promise<readonly Extent[]>;
}

export function createExtents(events: Pick<Events, 'readAll'>, signal: AbortSignal): Extents {
  const known = new Map<string, Promise<readonly Extent[]>>();

  const find = async (run: string, topic: StreamTopic, start: Positions) => {
    const extents = new Map<number, Extent>();
    for await (const event of events.readAll([topic], { from: start, signal })) {
      if (runOf(event) !== run) continue;
      const { partition, offset } = event;
      extents.set(partition, { partition, first: extents.get(partition)?.first ?? offset, last: offset });
    }
    return [...extents.values()];
  };

  return {
    of: (run, topic, start, lives) => {
      const key = `${run} ${topic} ${lives}`;
      const found = known.get(key) ?? find(run, topic, start);
      known.set(key, found);
      found.catch(() => known.delete(key));
      return found;
    },
  };
}
