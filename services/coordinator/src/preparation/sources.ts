/** What other runs left: comparisons by the run's name. */
import type { ArtifactRef, DataFor } from '@rlhf-streams/events';
import type { Projection, ServiceContext } from '@rlhf-streams/runtime';
import { artifactRoles, hasEnded, type RunView } from '@rlhf-streams/training/config';
import { CoordinatorError } from '../errors.js';
import type { RecordedComparisons } from './recorded.js';

export interface SourceDependencies {
  readonly context: Pick<ServiceContext, 'artifacts' | 'events'>;
  readonly runs: Projection<RunView>;
}

/** A run that another one builds on is waited for, as long as it runs. */
const DEPENDENCY_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** The comparisons that a completed run recorded, in the order of its steps, and the policy whose tokens they are. */
export async function recordedComparisons(
  { context, runs }: SourceDependencies,
  source: string,
  signal: AbortSignal,
): Promise<{ recorded: RecordedComparisons; policy: ArtifactRef }> {
  const run = source.slice('run:'.length);
  const recorded = new Map<string, DataFor<'comparison.recorded'>>();
  for await (const { data } of context.events.readAll(['comparisons'], { signal })) {
    if (data.run === run) recorded.set(data.comparison, data);
  }
  if (recorded.size === 0) {
    throw new CoordinatorError(
      'RUN_SOURCE_UNFIT',
      `expected run ${run} to have recorded comparisons, got none: it must be a sampling run with rank: true`,
    );
  }
  const comparisons = [...recorded.values()]
    .sort((a, b) => a.step - b.step || indexOf(a) - indexOf(b))
    .map(({ promptText, promptTokens, completions, ranks, labeler, margin }) => ({
      promptText,
      promptTokens,
      completions,
      ranks,
      labeler,
      ...(margin !== undefined && { margin }),
    }));
  return { recorded: comparisons, policy: runs.state.get(run)!.artifacts![artifactRoles.policy]! };
}

const indexOf = ({ comparison }: DataFor<'comparison.recorded'>): number =>
  Number(comparison.split('/').at(-1));

/** A run when it has ended, however it ended. */
export async function ended(runs: Projection<RunView>, run: string, signal: AbortSignal): Promise<RunView> {
  if (!runs.state.has(run)) {
    throw new CoordinatorError(
      'RUN_SOURCE_UNKNOWN',
      `expected run ${run}, which this one builds on, to exist; it does not`,
    );
  }
  return runs.waitFor(
    (state) => {
      const view = state.get(run);
      return view && hasEnded(view) ? view : undefined;
    },
    { timeoutMs: DEPENDENCY_TIMEOUT_MS, what: `run ${run} to end`, signal },
  );
}

/** Waits for a run to end. @throws CoordinatorError RUN_SOURCE_UNKNOWN, or RUN_SOURCE_FAILED when it has not completed. */
export async function completed(runs: Projection<RunView>, run: string, signal: AbortSignal): Promise<void> {
  const view = await ended(runs, run, signal);
  if (view.status === 'completed') return;
  const why = view.cause?.message ?? 'no cause given';
  throw new CoordinatorError(
    'RUN_SOURCE_FAILED',
    `run ${run}, which this one builds on, ${view.status}: ${why}`,
  );
}
