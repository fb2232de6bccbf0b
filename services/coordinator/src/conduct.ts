/** Conducts one run from its request to its end. */

import type { Projection } from '@rlhf-streams/bus';
import { archivedTopics, type DataFor, type StepStream } from '@rlhf-streams/events';
import {
  hasEnded,
  type IssuedStep,
  RunError,
  type RunView,
  readRuns,
  stepsOf,
  stopReason,
} from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { thisBuild } from '@rlhf-streams/service/build';
import { type PrepareDependencies, prepare } from './preparation/prepare.js';
import { readItems } from './read-items.js';
import { isAnswerable, issuable, itemEvents, planStep, type StartedRun } from './steps.js';

/** How far a run has come, as `training-metrics` shows it. */
export interface RunProgress {
  readonly completed: number;
  readonly policyVersion: number;
  /** The last step that is done. */
  readonly last: DataFor<'step.completed'>;
}

export interface ConductDependencies extends Omit<PrepareDependencies, 'context'> {
  readonly context: Pick<ServiceContext, 'events' | 'artifacts' | 'temporary' | 'log'>;
  readonly progress: Projection<RunProgress>;
}

/**
 * The topics that hold events of a run, besides `runs`. `run.started` records their ends: services read the run's events from
 * there on.
 */
const RUN_TOPICS = archivedTopics.filter((topic) => topic !== 'runs');

/**
 * Issues the steps of a run until it is completed. After a restart or a change of owner it goes on from the log: completed
 * steps are counted from `training-metrics`, and the items of steps under way are issued again, as `step.issued` lists
 * them, which is harmless as ids are the same.
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
    const items = await readItems(context, view);
    const last = stepsOf(view)!;
    await progress.caughtUp;
    let completed = progress.state.get(run)?.completed ?? 0;
    const before = await stepsIssued(context, view, completed, signal);
    let issued = completed;
    /** Streams of issued steps whose items wait for a version of the policy. */
    let waiting: { readonly step: IssuedStep; readonly stream: StepStream }[] = [];
    const stopped = () => {
      const progressed = progress.state.get(run);
      return progressed && stopReason(view, progressed.last);
    };
    while (completed < last && !stopped()) {
      const steps = issuable(view, { issued, completed }).map(
        (step) => before.get(step) ?? planStep(view, items, step),
      );
      issued += steps.length;
      waiting.push(...steps.flatMap((step) => step.streams.map((stream) => ({ step, stream }))));
      const ready = new Set(waiting.filter(({ stream }) => isAnswerable(stream, completed)));
      waiting = waiting.filter((each) => !ready.has(each));
      const streams = new Set([...ready].map(({ stream }) => stream));
      for (const step of new Set([...[...ready].map(({ step }) => step), ...steps])) {
        const isNew = steps.includes(step) && !before.has(step.step) && view.streams !== undefined;
        await writer.publish([
          ...(isNew ? [{ type: 'step.issued', id: `${run}/${step.step}`, data: step } as const] : []),
          ...itemEvents(view, items, step, (stream) => streams.has(stream)),
        ]);
        goesOn();
      }
      const known = completed;
      const next = await progress.waitFor(
        (state) => {
          const now = state.get(run);
          return now && now.completed > known ? now : undefined;
        },
        // No deadline here: the optimizer fails a run that stalls.
        { what: `step ${known} of run ${run}`, signal },
      );
      completed = next.completed;
    }
    const { policyVersion } = progress.state.get(run)!;
    const reason = stopped();
    const steps = Math.min(view.steps, completed);
    // A run that is extended is completed more than once.
    const id = view.extents ? `${run}/completed/${steps}` : `${run}/completed`;
    await writer.publish([
      { type: 'run.completed', id, data: { run, steps, policyVersion, ...(reason && { reason }) } },
    ]);
  } finally {
    await writer.close();
  }
}

/** The steps under way that an earlier owner issued: what they are made of was decided then. */
async function stepsIssued(
  { events }: Pick<ServiceContext, 'events'>,
  { run, from }: Pick<RunView, 'run' | 'from'>,
  completed: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, IssuedStep>> {
  const steps = new Map<number, IssuedStep>();
  for await (const { data } of events.readAll(['steps'], { from, signal }))
    if (data.run === run && data.step >= completed && !steps.has(data.step)) steps.set(data.step, data);
  return steps;
}

/**
 * The run's state, read from the log after earlier writers were fenced. The projection may lag behind it, and a run
 * that an earlier owner started must not be started again.
 */
async function loggedView(
  { events }: Pick<ServiceContext, 'events'>,
  run: string,
  signal: AbortSignal,
): Promise<RunView> {
  const views = await readRuns(events.readAll(['runs'], { signal }), run);
  return views.get(run)!;
}

/** The run with its sources resolved to artifacts. That is done once, and `run.started` tells every service. */
async function started(
  dependencies: ConductDependencies,
  view: RunView,
  writer: Awaited<ReturnType<ServiceContext['events']['transactional']>>,
  signal: AbortSignal,
  goesOn: () => void,
): Promise<RunView & StartedRun> {
  if (view.models) return view as RunView & StartedRun;
  const { run, config } = view;
  const { from: before, ...prepared } = await prepare(dependencies, config!, signal);
  // No topic has an event of the run yet: services begin to read here, behind all that others did while it waited for them.
  const { latest } = await dependencies.context.log.positions(RUN_TOPICS);
  const from = Object.fromEntries(Object.entries(latest).map(([topic, offsets]) => [topic, [...offsets]]));
  const data = {
    run,
    config: config! as unknown as Record<string, unknown>,
    ...prepared,
    build: thisBuild(),
    from: { ...from, ...before },
  };
  await writer.publish([{ type: 'run.started', id: `${run}/started`, data }]);
  goesOn();
  return { ...view, config: config!, ...prepared, from: data.from };
}
