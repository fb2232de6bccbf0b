/** The core events of each run, read from the log once and kept in memory for every stream. */

import { advance, type Received } from '@rlhf-streams/bus';
import type { Positions } from '@rlhf-streams/log';
import { applyVersion, type PublishedVersion } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { applyStep, type StepMetrics } from './progress.js';

/** The topics of the core events, which every stream of a run has; others have to be asked for. */
export const coreTopics = ['runs', 'policy-versions', 'training-metrics'] as const;
type CoreEvent = Received<(typeof coreTopics)[number]>;

/** A run's core events in the order in which they were read. Within a partition that is the log's order. */
interface Remembered {
  readonly events: CoreEvent[];
  /** Each is called at the run's next event. */
  readonly waiting: Set<() => void>;
  complete?: Promise<void>;
}

export interface History {
  readonly progress: ReadonlyMap<string, StepMetrics[]>;
  readonly versions: ReadonlyMap<string, PublishedVersion>;
  /** Offsets up to which the core topics have been read. */
  readonly positions: () => Positions;
  /** Grows as events come. */
  readonly eventsOf: (run: string) => readonly CoreEvent[];
  /** Resolves at the run's next event, or when `signal` aborts. */
  readonly nextOf: (run: string, signal: AbortSignal) => Promise<void>;
  /**
   * Resolves when all events of a run have been read that the log held when its end was read. Topics are read side by
   * side, so that the end of a run may be read before events that were published ahead of it.
   */
  readonly completeOf: (run: string) => Promise<void>;
  /** Resolves when everything has been read that the log held at the start. */
  readonly caughtUp: Promise<void>;
}

export function createHistory({
  events,
  project,
  signal,
}: Pick<ServiceContext, 'events' | 'project' | 'signal'>): History {
  const runs = new Map<string, Remembered>();
  const progress = new Map<string, StepMetrics[]>();
  const versions = new Map<string, PublishedVersion>();
  let positions: Positions = {};

  const rememberedOf = (run: string): Remembered => {
    const remembered = runs.get(run) ?? { events: [], waiting: new Set() };
    runs.set(run, remembered);
    return remembered;
  };
  const { caughtUp } = project<(typeof coreTopics)[number], never>({
    topics: coreTopics,
    apply: (_, event) => {
      positions = advance(positions, event);
      if (event.topic === 'training-metrics') applyStep(progress, event);
      if (event.topic === 'policy-versions') applyVersion(versions, event);
      const remembered = rememberedOf(event.data.run);
      remembered.events.push(event);
      // Its end is not the end any more.
      if (event.type === 'run.extended') delete remembered.complete;
      for (const wake of [...remembered.waiting]) wake();
    },
  });

  const nextOf = (run: string, leaving: AbortSignal) =>
    new Promise<void>((resolve) => {
      const { waiting } = rememberedOf(run);
      const wake = () => {
        waiting.delete(wake);
        leaving.removeEventListener('abort', wake);
        resolve();
      };
      waiting.add(wake);
      leaving.addEventListener('abort', wake, { once: true });
      if (leaving.aborted) wake();
    });

  const complete = async (run: string) => {
    let last: Positions = {};
    for await (const event of events.readAll(coreTopics, { from: positions, signal }))
      if (event.data.run === run) last = advance(last, event);
    const behind = () =>
      Object.entries(last).some(([topic, offsets]) =>
        offsets.some((offset, partition) => offset > (positions[topic]?.[partition] ?? 0)),
      );
    while (behind()) {
      await nextOf(run, signal);
      signal.throwIfAborted();
    }
  };

  return {
    progress,
    versions,
    positions: () => positions,
    eventsOf: (run) => runs.get(run)?.events ?? [],
    nextOf,
    completeOf: (run) => {
      const remembered = rememberedOf(run);
      remembered.complete ??= complete(run).catch((error) => {
        delete remembered.complete;
        throw error;
      });
      return remembered.complete;
    },
    caughtUp,
  };
}
