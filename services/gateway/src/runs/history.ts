/** The events of each run that every stream tells, read from the log once and kept for whoever asks. */

import { advance, type Received } from '@rlhf-streams/bus';
import type { Positions } from '@rlhf-streams/log';
import { applyVersion, type PublishedVersion } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { applyStep, type StepMetrics } from './progress.js';

/** What every stream tells. */
export const toldTopics = ['runs', 'policy-versions', 'training-metrics'] as const;
export type ToldEvent = Received<(typeof toldTopics)[number]>;

/** What the log has said of a run, in the order it came here: that of the log within each partition. */
interface Told {
  readonly events: ToldEvent[];
  /** Called at the next event. */
  readonly waiting: Set<() => void>;
  complete?: Promise<void>;
}

export interface History {
  readonly progress: ReadonlyMap<string, StepMetrics[]>;
  readonly versions: ReadonlyMap<string, PublishedVersion>;
  /** Where the log stands of which all is told. */
  readonly positions: () => Positions;
  /** Grows as events come. */
  readonly eventsOf: (run: string) => readonly ToldEvent[];
  /** Resolves at the run's next event, or when `signal` aborts. */
  readonly nextOf: (run: string, signal: AbortSignal) => Promise<void>;
  /**
   * Resolves when everything is told of a run that the log held of it once its end was seen: topics are read side by
   * side, and the end may come before what was published ahead of it.
   */
  readonly completeOf: (run: string) => Promise<void>;
  /** Resolves when it has caught up with the log. */
  readonly caughtUp: Promise<void>;
}

export function createHistory({
  events,
  project,
  signal,
}: Pick<ServiceContext, 'events' | 'project' | 'signal'>): History {
  const runs = new Map<string, Told>();
  const progress = new Map<string, StepMetrics[]>();
  const versions = new Map<string, PublishedVersion>();
  let positions: Positions = {};

  const toldOf = (run: string): Told => {
    const told = runs.get(run) ?? { events: [], waiting: new Set() };
    runs.set(run, told);
    return told;
  };
  const { caughtUp } = project<(typeof toldTopics)[number], never>({
    topics: toldTopics,
    apply: (_, event) => {
      positions = advance(positions, event);
      if (event.topic === 'training-metrics') applyStep(progress, event);
      if (event.topic === 'policy-versions') applyVersion(versions, event);
      const told = toldOf(event.data.run);
      told.events.push(event);
      for (const wake of [...told.waiting]) wake();
    },
  });

  const nextOf = (run: string, leaving: AbortSignal) =>
    new Promise<void>((resolve) => {
      const { waiting } = toldOf(run);
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
    for await (const event of events.readAll(toldTopics, { from: positions, signal }))
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
      const told = toldOf(run);
      told.complete ??= complete(run).catch((error) => {
        delete told.complete;
        throw error;
      });
      return told.complete;
    },
    caughtUp,
  };
}
