/** The runs that a run builds on: waits for them, and reads the comparisons that they recorded. */

import { runEvents } from '@rlhf-streams/archive';
import type { Projection } from '@rlhf-streams/bus';
import type { Dataset } from '@rlhf-streams/data';
import { type DataFor, type ModelRef, nearest } from '@rlhf-streams/events';
import { artifactRoles, hasEnded, type RunConfig, type RunView, runsBuiltOn } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { linked } from '@rlhf-streams/waiting';
import { CoordinatorError } from '../errors.js';
import type { RecordedComparisons } from './recorded.js';

export interface SourceDependencies {
  readonly context: Pick<ServiceContext, 'artifacts' | 'events'>;
  readonly runs: Projection<RunView>;
}

/** The comparisons that a completed run recorded, in the order of its steps, and the policy whose tokens they are. */
export async function recordedComparisons(
  { context, runs }: SourceDependencies,
  run: string,
  signal: AbortSignal,
): Promise<{ recorded: RecordedComparisons; policy: ModelRef }> {
  const recorded = new Map<string, DataFor<'comparison.recorded'>>();
  const view = runs.state.get(run)!;
  for await (const { data } of runEvents(context, view, ['comparisons'], { signal }))
    recorded.set(data.comparison, data);
  if (recorded.size === 0) {
    throw new CoordinatorError(
      'RUN_SOURCE_UNFIT',
      `expected run ${run} to have recorded comparisons, got none: it must compare its samples, as a sampling run with rank: true does`,
    );
  }
  const comparisons = [...recorded.values()]
    .sort((a, b) => a.step - b.step || indexOf(a) - indexOf(b))
    .map(({ promptText, messages, tools, promptTokens, completions, ranks, labeler, margin }) => ({
      promptText,
      ...(messages && { messages }),
      ...(tools && { tools }),
      promptTokens,
      completions,
      ranks,
      labeler,
      ...(margin !== undefined && { margin }),
    }));
  return { recorded: comparisons, policy: view.models![artifactRoles.policy]! };
}

/** The prompts that a completed run answered, in the order of its steps, with its answers kept as `completion`. */
export async function answeredPrompts(
  { context, runs }: SourceDependencies,
  run: string,
  signal: AbortSignal,
): Promise<Dataset> {
  const answers = new Map<string, DataFor<'rollout.generated'>>();
  for await (const { type, data } of runEvents(context, runs.state.get(run)!, ['rollouts'], { signal }))
    if (type === 'rollout.generated' && data.rollout.endsWith('/0')) answers.set(data.prompt, data);
  if (answers.size === 0)
    throw new CoordinatorError('RUN_SOURCE_UNFIT', `expected run ${run} to have answered prompts, got none`);
  const places = (id: string) => id.split('/').slice(-2).map(Number) as [number, number];
  const ordered = [...answers].sort(([one], [other]) => {
    const [a, b] = [places(one), places(other)];
    return a[0] - b[0] || a[1] - b[1];
  });
  return {
    kind: 'prompt',
    rows: ordered.map(([, { promptText, messages, tools, metadata, text }]) => ({
      prompt: messages ?? promptText,
      ...(tools && { tools }),
      ...(metadata && { metadata }),
      kept: { completion: text },
    })),
  };
}

const indexOf = ({ comparison }: DataFor<'comparison.recorded'>): number =>
  Number(comparison.split('/').at(-1));

/**
 * Refuses a run that would wait for itself by way of others. The last run of a circle to be requested sees all of it.
 * @throws CoordinatorError RUN_SOURCE_UNFIT naming the way round.
 * @internal
 */
export function refuseCircle(runs: ReadonlyMap<string, RunView>, config: RunConfig): void {
  const seen = new Set<string>();
  const wayBack = (from: RunConfig): string[] | undefined => {
    for (const run of runsBuiltOn(from)) {
      if (run === config.run) return [run];
      const view = runs.get(run);
      if (seen.has(run) || !view?.config || hasEnded(view)) continue;
      seen.add(run);
      const way = wayBack(view.config);
      if (way) return [run, ...way];
    }
    return undefined;
  };
  const way = wayBack(config);
  if (!way) return;
  throw new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected runs that end before this one starts, got a circle in which each waits for the next: ${[config.run, ...way].join(', ')}`,
  );
}

/** Waits until a run has completed, failed or been cancelled. @throws CoordinatorError RUN_SOURCE_UNKNOWN. */
export async function ended(
  { runs }: Pick<SourceDependencies, 'runs'>,
  run: string,
  requested: ReadonlyMap<string, RunView>,
  signal: AbortSignal,
): Promise<RunView> {
  const source = requested.get(run);
  if (!source) {
    const meant = nearest(run, [...requested.keys()]);
    throw new CoordinatorError(
      'RUN_SOURCE_UNKNOWN',
      `expected run ${run}, which this one builds on, to exist; it does not${meant ? `: did you mean ${meant}?` : ''}`,
    );
  }
  return runs.waitFor(
    (state) => {
      const view = state.get(run);
      // An earlier request of its name may have failed, where the projection has not read of the newer one.
      return view && view.requestOffset >= source.requestOffset && hasEnded(view) ? view : undefined;
    },
    { what: `run ${run} to end`, signal },
  );
}

/**
 * Waits until every run has completed that a run builds on.
 * @throws CoordinatorError RUN_SOURCE_UNKNOWN; RUN_SOURCE_UNFIT for a circle; RUN_SOURCE_FAILED as soon as one has
 *   failed or was cancelled.
 */
export async function completed(
  dependencies: SourceDependencies,
  config: RunConfig,
  signal: AbortSignal,
): Promise<void> {
  const sources = runsBuiltOn(config);
  if (sources.length === 0) return;
  // The projection may know a run that was requested with others, and not the others yet.
  const requested = await dependencies.runs.newest(signal);
  refuseCircle(requested, config);
  const waits = new AbortController();
  const either = linked(signal, waits.signal);
  try {
    await Promise.all(
      sources.map(async (run) => {
        const { status, cause, extents } = await ended(dependencies, run, requested, either.signal);
        // A run that was extended has completed before: it has a model, whatever became of its extension.
        if (status === 'completed' || extents) return;
        const why = cause?.message ?? 'no cause given';
        throw new CoordinatorError(
          'RUN_SOURCE_FAILED',
          `run ${run}, which this one builds on, ${status === 'cancelled' ? 'was cancelled' : status}: ${why}`,
        );
      }),
    );
  } finally {
    waits.abort();
    either.release();
  }
}
