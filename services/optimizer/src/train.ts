/**
 * Drives one run: joins its events step by step, computes, and publishes what came of it. Everything a step changes
 * on the log is one transaction of the run's only writer; killed anywhere, the run goes on from its newest checkpoint
 * and does the steps since again, to the same bits, from the same events. A replay is driven like any other run, by
 * the events of the run that it replays.
 */

import { runEvents } from '@rlhf-streams/archive';
import type { NewEvent, Projection, TransactionalEvents } from '@rlhf-streams/bus';
import type { Build, DataFor } from '@rlhf-streams/events';
import type { Positions } from '@rlhf-streams/log';
import {
  artifactRoles,
  buildChangeText,
  earlierStreams,
  type Item,
  isMeasuredAfter,
  isSameBuild,
  keepBestOf,
  loggedBy,
  type RunConfig,
  type RunView,
  reproduces,
  specOf,
  stepsAt,
  stepsOf,
  stopReason,
  warningsOf,
  warningText,
} from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { untilAborted } from '@rlhf-streams/waiting';
import { OptimizerError } from './errors.js';
import { createJoin, type Join, type WholeStep, type WholeStream } from './join.js';
import { startingModels, store, versionOf } from './models.js';
import { type Published, readPublished } from './published.js';
import { lengthsOf, replayedRun, sampledBy } from './replay.js';
import { type StallWatch, watchForStall } from './stall.js';
import type { OptimizerThread } from './thread.js';
import { tokensOf } from './tokens.js';
import { troubleOf } from './trouble.js';

export interface TrainDependencies {
  readonly context: Pick<ServiceContext, 'events' | 'artifacts' | 'temporary' | 'logger'>;
  readonly compute: OptimizerThread;
  readonly runs: Projection<RunView>;
  readonly build: Build;
}

type Checkpoint = NonNullable<DataFor<'policy.published'>['checkpoint']>;

/** The run under training, as `follow` and `complete` share it. */
interface Driven {
  readonly view: RunView;
  readonly config: RunConfig;
  /** Training steps. */
  readonly steps: number;
  readonly writer: TransactionalEvents;
  readonly published: Published;
  checkpoint: Checkpoint | undefined;
  /** What the last published step measured. */
  measured: Readonly<Record<string, number>> | undefined;
  /** The number of steps that the compute thread knows, for the schedule of the learning rate. */
  length?: number;
  /** Of a replay, the run that it replays. */
  readonly source: RunView | undefined;
  /** Called after every published step. */
  readonly goesOn: () => void;
}

/** Works until the run's last step is published, or `signal` aborts. */
export async function train(
  dependencies: TrainDependencies,
  view: RunView,
  signal: AbortSignal,
  goesOn: () => void = () => {},
): Promise<void> {
  const { context, compute } = dependencies;
  const { events } = context;
  const config = view.config!;
  const writer = await events.transactional(`optimizer/${view.run}`);
  try {
    // Earlier writers are fenced by now, so no other writer adds to what is read here.
    const published = await readPublished(events, view, signal);
    const initial = view.models![artifactRoles.policy]!;
    const source = await replayedRun(events, config, signal);
    const driven: Driven = {
      view,
      config,
      steps: view.steps!,
      writer,
      published,
      checkpoint: published.policy?.checkpoint,
      measured: published.last?.metrics,
      source,
      goesOn,
    };
    const { step, positions, build } = await open(dependencies, view, published);
    if (isOver(driven)) return;
    await tellOtherBuild(dependencies, driven, { step, build });
    if (!published.policy) {
      await writer.publish([policyEvent({ run: view.run, version: 0, step: 0, model: initial })]);
    }
    const from = published.policy?.checkpoint ? positions : view.from;
    await follow(dependencies, driven, step, from, signal);
  } finally {
    const closing = compute.close(view.run);
    // A step that is given up is still computed to its end, which may take minutes: whoever stops the service, or takes
    // over the run, does not wait for that.
    if (signal.aborted) closing.catch((err) => context.logger.debug({ err, run: view.run }, 'closed late'));
    else await closing;
    await writer.close();
  }
}

const open = async ({ context, compute }: TrainDependencies, view: RunView, { policy }: Published) =>
  compute.open({
    config: view.config!,
    steps: view.steps!,
    models: await startingModels(context, view),
    checkpoint: policy?.checkpoint && (await context.artifacts.fetch(policy.checkpoint.artifact)),
  });

/** Whether nothing is left to compute: its last step is published, or one with which it was to stop. */
const isOver = ({ view, published: { stepsCompleted, last } }: Driven): boolean =>
  stepsCompleted >= stepsOf(view)! || (last !== undefined && stopReason(view, last) !== undefined);

/** Publishes `run.build-changed` where another build did the steps so far, unless it is published already; `build` is the checkpoint's. */
async function tellOtherBuild(
  { context, build: to }: TrainDependencies,
  { view, writer, published, checkpoint }: Driven,
  { step, build }: { readonly step: number; readonly build?: Build | undefined },
): Promise<void> {
  if (!checkpoint && published.stepsCompleted === 0) return;
  // The build that went on from here last may have published steps after this one.
  const last = view.buildChanges?.findLast((change) => change.step === step)?.to;
  const from = last ?? (checkpoint ? build : view.build);
  if (from && isSameBuild(from, to)) return;
  const change = { step, ...(from && { from }), to };
  const { run } = view;
  context.logger.warn({ run, ...change }, `run ${run} ${buildChangeText(change)}`);
  const id = `${run}/build-changed/${step}/${Object.values(to).join('/')}`;
  await writer.publish([{ type: 'run.build-changed', id, data: { run, ...change } }]);
}

async function follow(
  dependencies: TrainDependencies,
  driven: Driven,
  firstStep: number,
  from: Positions,
  signal: AbortSignal,
): Promise<void> {
  const { context, runs } = dependencies;
  const { view, config, source } = driven;
  const last = stepsOf(view)!;
  let step = firstStep;
  if (step >= last) return;
  const join = joinOf(driven, from);
  join.forget(step);

  const stalled = new AbortController();
  const watch = watchForStall({
    deadlineMs: config.stallTimeoutMs,
    report: (wait) => {
      const data = { run: config.run, step, waitingFor: join.missing(step), ...wait };
      context.logger.warn(data, 'waiting');
      context.events
        .publish([{ type: 'run.waiting', id: `${config.run}/waiting/${step}/${wait.sinceMs}`, data }])
        .catch((err) => {
          context.logger.warn({ err, run: config.run }, 'could not report what the run waits for');
          // While the log accepts no event, none can come: that time does not count.
          watch.progress();
        });
    },
    giveUp: () => {
      troubleOf(context.events, config.run).then(
        (trouble) =>
          stalled.abort(new OptimizerError('RUN_STALLED', stallMessage(config, step, join, trouble))),
        (error) => stalled.abort(error),
      );
    },
  });
  const over = new AbortController();
  const either = AbortSignal.any([signal, stalled.signal, over.signal]);
  const holding = holdWhilePaused(runs, config.run, watch, either);
  // Awaited in `finally`; until then a rejection must not count as unhandled.
  holding.catch(() => {});
  try {
    const topics = ['steps' as const, ...specOf(config).joins];
    // All events of a replay were there before it, so that it reads to the end and waits for none.
    const logged = source
      ? runEvents(context, source, topics, { from, signal: either })
      : context.events.follow({ topics, from, signal: either });
    for await (const event of logged) {
      join.add(event);
      // Services that are slow, or busy with other runs, are no stall as long as something comes.
      if (event.data.run === loggedBy(config)) watch.progress();
      for (let whole = join.whole(step); whole; whole = join.whole(step)) {
        watch.pause();
        join.forget(step + 1);
        const hasStopped = await complete(dependencies, driven, step, whole, join.positions(), signal);
        step++;
        if (step === last || hasStopped) return;
        watch.progress();
      }
    }
    stalled.signal.throwIfAborted();
    if (source) throw new OptimizerError('REPLAY_INCOMPLETE', incompleteMessage(config, step, join));
  } finally {
    watch.stop();
    over.abort();
    await holding;
  }
}

/** Joins what the run logged that it is trained on; an earlier build listed no steps. */
function joinOf({ view, config, steps }: Driven, from: Positions): Join {
  const run = loggedBy(config);
  const { streams, testItems } = view;
  const listed = (step: number) => ({
    run,
    step,
    streams: earlierStreams(config, { steps, testItems }, step),
  });
  return createJoin({
    run,
    streams: specOf(config).streams,
    steps: stepsOf(view)!,
    from,
    listed: streams ? undefined : listed,
  });
}

/** Holds the watch while the run is paused, until `signal` aborts. */
async function holdWhilePaused(
  runs: TrainDependencies['runs'],
  run: string,
  watch: StallWatch,
  signal: AbortSignal,
): Promise<void> {
  const until = (isPaused: boolean) =>
    runs.waitFor((state) => (state.get(run)?.status === 'paused') === isPaused, {
      what: `run ${run} to ${isPaused ? 'be paused' : 'go on'}`,
      signal,
    });
  try {
    for (;;) {
      await until(true);
      watch.hold();
      await until(false);
      watch.release();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/**
 * Computes a step and publishes it, unless it was published before a crash. Resolves to whether the run stops with it.
 * When `signal` aborts, what is computed is given up: it will be computed again from the log.
 */
async function complete(
  { context, compute, runs }: TrainDependencies,
  driven: Driven,
  step: number,
  { train, evaluation, ...others }: WholeStep,
  positions: Positions,
  signal: AbortSignal,
): Promise<boolean> {
  const { view, config, steps, writer, published } = driven;
  const { run } = config;
  const begun = performance.now();
  const source = driven.source?.config;
  const reproducing = source !== undefined && reproduces(config, source);
  const length = stepsAt(lengthsOf(driven), step);
  if (length !== driven.length) await compute.extend(run, length);
  driven.length = length;
  const own = (items: readonly Item[]) => (reproducing ? items.map((item) => sampledBy(run, item)) : items);
  const beside = Object.fromEntries(Object.entries(others).map(([name, { items }]) => [name, own(items)]));
  const {
    metrics,
    comparisons = [],
    results: files,
  } = train
    ? await untilAborted(compute.update(run, own(train.items), beside), signal).catch((error) => {
        throw emptied(error, step, train);
      })
    : { metrics: {}, results: undefined };
  if (step < published.stepsCompleted) return false;
  const updated = performance.now();
  const measured = evaluation && (await untilAborted(compute.evaluate(run, own(evaluation.items)), signal));
  const evaluated = performance.now();

  const done = step + 1;
  const { onPolicy, ...spec } = specOf(config);
  const trains = spec.trains.length > 0;
  const failed = {
    ...(train &&
      train.failed > 0 && {
        'rollout/failed': train.failed,
        'rollout/failed_ratio': train.failed / (train.items.length + train.failed),
      }),
    ...(evaluation && evaluation.failed > 0 && { 'eval/failed': evaluation.failed }),
    ...Object.fromEntries(
      Object.entries(others).flatMap(([name, { failed }]) =>
        failed > 0 ? [[`${name}/failed`, failed]] : [],
      ),
    ),
  };
  const reported = finite({ ...metrics, ...measured, ...failed });
  const warnings = warningsOf(view, reported, driven.measured);
  const stops = train !== undefined && stopReason(view, { step, metrics: reported }) !== undefined;
  const isLast = done === steps || stops;
  const publishes = train && trains && (isPublished(config, done, reported) || isLast);
  const [release, results] = await Promise.all([
    publishes ? save(context, compute, driven, { done, isLast, positions }) : undefined,
    files && context.artifacts.putFiles(files),
  ]);
  const cost = {
    'timing_s/update': (updated - begun) / 1000,
    ...(evaluation && { 'timing_s/evaluate': (evaluated - updated) / 1000 }),
    'timing_s/publish': (performance.now() - evaluated) / 1000,
    ...(train && trains && tokensOf([train, ...Object.values(others)].flatMap(({ items }) => items))),
  };
  await writer.publish([
    ...comparisons.map((data): NewEvent => ({ type: 'comparison.recorded', id: data.comparison, data })),
    ...(release ? [policyEvent(release)] : []),
    ...warnings.map((warning): NewEvent => {
      const data = { run, step, ...warning };
      context.logger.warn(data, `run ${run} warns: ${warningText(data)}`);
      return {
        type: 'run.warning',
        id: `${run}/warning/${step}/${warning.metric}/${warning.direction}`,
        data,
      };
    }),
    // A completed step ends every pause, whichever service reported it.
    ...(runs.state.get(run)?.paused
      ? [{ type: 'run.resumed', id: `${run}/resumed/${step}`, data: { run } } as const]
      : []),
    {
      type: 'step.completed',
      id: `${run}/${step}`,
      data: {
        run,
        step,
        policyVersion: onPolicy && train ? done : trains ? Math.min(done, steps) : 0,
        ...(release && { published: release.model }),
        ...(release && driven.checkpoint?.step === done && { checkpoint: driven.checkpoint.artifact }),
        ...(results && { results }),
        split: train ? 'train' : 'test',
        metrics: { ...reported, ...cost },
      },
    },
  ]);
  driven.measured = reported;
  driven.goesOn();
  return stops;
}

/** What a step says that has no item left to learn from: why they failed. */
function emptied(error: unknown, step: number, { items, failed, cause }: WholeStream): unknown {
  if (items.length > 0 || !cause) return error;
  return new OptimizerError(
    'RUN_STEP_EMPTY',
    `expected an item of step ${step} that did not fail, got none: ${failed} failed, the first because of this: ${cause.message} (${cause.code})`,
    { cause: error },
  );
}

/** Whether a version is published with a step: as often as the method says, and where it may turn out to be the best. */
function isPublished(config: RunConfig, done: number, metrics: Readonly<Record<string, number>>): boolean {
  if (done % specOf(config).publishEvery === 0) return true;
  const metric = keepBestOf(config)?.metric;
  return metric !== undefined && isMeasuredAfter(config, metric) && metric in metrics;
}

/** Stores the policy after `done` steps, and a checkpoint where one is due. */
async function save(
  context: TrainDependencies['context'],
  compute: OptimizerThread,
  driven: Driven,
  {
    done,
    isLast,
    positions,
  }: { readonly done: number; readonly isLast: boolean; readonly positions: Positions },
): Promise<DataFor<'policy.published'>> {
  const { run, checkpointEvery } = driven.config;
  const isDue = done % checkpointEvery === 0 || isLast;
  const [stored, saved] = await Promise.all([
    store(context, (directory) => compute.savePublished(run, directory)),
    isDue ? store(context, (directory) => compute.saveCheckpoint(run, directory, positions)) : undefined,
  ]);
  if (saved) driven.checkpoint = { step: done, artifact: saved };
  const { checkpoint } = driven;
  const model = versionOf(driven.view, stored);
  return { run, version: done, step: done, model, ...(checkpoint && { checkpoint }) };
}

const policyEvent = (data: DataFor<'policy.published'>): NewEvent => ({
  type: 'policy.published',
  id: `${data.run}/version/${data.version}`,
  data,
});

/** JSON has no infinities, and a metric that is not finite says nothing. */
const finite = (metrics: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));

const stallMessage = (
  { stallTimeoutMs }: RunConfig,
  step: number,
  join: Join,
  trouble: string | undefined,
): string => {
  const missing = `expected the items of step ${step} within ${stallTimeoutMs} ms, still missing: ${missingAt(join, step)}.`;
  return `${missing} ${trouble ?? 'Are the services that publish them up?'}`;
};

const incompleteMessage = (config: RunConfig, step: number, join: Join): string =>
  `expected the log to hold what run ${loggedBy(config)} was trained on in step ${step}, missing: ${missingAt(join, step)}. Is the run older than its topics keep events?`;

const missingAt = (join: Join, step: number): string =>
  Object.entries(join.missing(step))
    .map(([topic, count]) => `${count} from ${topic}`)
    .join(', ');
