/** Conducts one run from its request to its end. */

import type { Projection } from '@rlhf-streams/bus';
import type { TopicName } from '@rlhf-streams/events';
import { applyRunEvent, hasEnded, RunError, type RunView, stepsOf } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { thisBuild } from '@rlhf-streams/service/build';
import { type PrepareDependencies, prepare } from './preparation/prepare.js';
import { readItems } from './read-items.js';
import { issuable, stepEvents } from './steps.js';

/** What `training-metrics` says of a run. */
export interface RunProgress {
  readonly completed: number;
  readonly policyVersion: number;
}

export interface ConductDependencies extends Omit<PrepareDependencies, 'context'> {
  readonly context: Pick<ServiceContext, 'events' | 'artifacts' | 'temporary' | 'log'>;
  readonly progress: Projection<RunProgress>;
}

/** Where everything of a run will stand. */
const RUN_TOPICS = [
  'demonstrations',
  'comparisons',
  'rollouts',
  'rewards',
  'reference-logprobs',
  'policy-versions',
  'training-metrics',
] as const satisfies readonly TopicName[];

/**
 * Issues the steps of a run until it is completed. Called again, by this owner or the next, it goes on from what the
 * log says: steps done are counted anew, and those under way are issued again, which is harmless.
 */
export async function conduct(
  dependencies: ConductDependencies,
  run: string,
  signal: AbortSignal,
  goesOn: () => void = () => {},
): Promise<void> {
  const { context, progress } = dependencies;
  const writer = await context.events.transactional(`coordinator/${run}`);
  try {
    const logged = await loggedView(context, run, signal);
    if (hasEnded(logged)) return;
    if (!logged.config) throw new RunError('TRAINING_CONFIG_INVALID', logged.cause!.message);
    const view = await started(dependencies, logged, writer, signal, goesOn);
    const { config, testItems } = view;
    const items = await readItems(context, view);
    const last = stepsOf(config!, testItems, view.steps);
    await progress.caughtUp;
    let completed = progress.state.get(run)?.completed ?? 0;
    let issued = completed;
    while (completed < last) {
      for (const step of issuable(config!, testItems, { issued, completed })) {
        await writer.publish(stepEvents(config!, items, step));
        issued = step + 1;
        goesOn();
      }
      const known = completed;
      const next = await progress.waitFor(
        (state) => {
          const now = state.get(run);
          return now && now.completed > known ? now : undefined;
        },
        // The optimizer keeps the deadline of a run that stalls.
        { what: `step ${known} of run ${run}`, signal },
      );
      completed = next.completed;
    }
    const { policyVersion } = progress.state.get(run)!;
    await writer.publish([
      { type: 'run.completed', id: `${run}/completed`, data: { run, steps: view.steps!, policyVersion } },
    ]);
  } finally {
    await writer.close();
  }
}

/**
 * What the log says of the run now that earlier writers are fenced. A projection may not have come so far: a run that
 * the owner before has started must not be started again.
 */
async function loggedView(
  { events }: Pick<ServiceContext, 'events'>,
  run: string,
  signal: AbortSignal,
): Promise<RunView> {
  const views = new Map<string, RunView>();
  for await (const event of events.readAll(['runs'], { signal })) {
    if (event.data.run === run) applyRunEvent(views, event);
  }
  return views.get(run)!;
}

/** The run with its sources resolved; that is done once, and `run.started` tells everybody. */
async function started(
  dependencies: ConductDependencies,
  view: RunView,
  writer: Awaited<ReturnType<ServiceContext['events']['transactional']>>,
  signal: AbortSignal,
  goesOn: () => void,
): Promise<RunView> {
  if (view.artifacts) return view;
  const { run, config } = view;
  const { latest } = await dependencies.context.log.positions(RUN_TOPICS);
  const from = Object.fromEntries(Object.entries(latest).map(([topic, offsets]) => [topic, [...offsets]]));
  const { from: before, ...prepared } = await prepare(dependencies, config!, signal);
  const data = {
    run,
    config: config! as unknown as Record<string, unknown>,
    ...prepared,
    build: thisBuild(),
    from: { ...from, ...before },
  };
  await writer.publish([{ type: 'run.started', id: `${run}/started`, data }]);
  goesOn();
  return { ...view, ...prepared, from: data.from };
}
