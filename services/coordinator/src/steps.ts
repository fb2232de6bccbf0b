/**
 * The coordinator's decisions: which steps may be issued, what a step is made of, and the events of its items. All are
 * pure functions of the run, its items and its progress. What a step is made of is decided once: `step.issued` says it,
 * and the events of its items follow from that, so that issuing them again is harmless.
 */

import type { NewEvent } from '@rlhf-streams/bus';
import { batchIndices } from '@rlhf-streams/data';
import type { StepStream } from '@rlhf-streams/events';
import {
  type ComparisonItem,
  type DemonstrationItem,
  dataSpecOf,
  earlierStreams,
  type IssuedStep,
  idsOf,
  type PromptItem,
  type PromptsSpec,
  type RunConfig,
  type RunItem,
  type RunView,
  replayed,
  rowsOf,
  type StreamSpec,
  specOf,
  stepsOf,
  type ThumbItem,
} from '@rlhf-streams/runs';

/** A run that was started. */
export type StartedRun = Pick<RunView, 'run' | 'streams' | 'testItems'> &
  Required<Pick<RunView, 'config' | 'steps'>>;

export interface RunItems extends DatasetItems {
  /** Those of further datasets, by name. Default: there are none. */
  readonly further?: Readonly<Record<string, DatasetItems>>;
  /** Tokens that end a completion. */
  readonly stopTokens: readonly number[];
}

/** The items of a dataset, by split. */
export type DatasetItems = Readonly<Record<RunItem['split'], readonly RunItem[]>>;

const ofDataset = (items: RunItems, name?: string): DatasetItems =>
  name === undefined ? items : items.further![name]!;

export interface Progress {
  /** Steps issued. */
  readonly issued: number;
  /** Steps done. In on-policy runs this is the version of the policy. */
  readonly completed: number;
}

/**
 * The steps that may be issued now: as far ahead of the step under way as the run's spec allows, which bounds staleness.
 * A replay issues none, as its events are on the log.
 */
export function issuable(run: StartedRun, { issued, completed }: Progress): number[] {
  if (replayed(run.config) !== undefined) return [];
  const end = Math.min(stepsOf(run)!, completed + specOf(run.config).ahead + 1);
  return Array.from({ length: Math.max(0, end - issued) }, (_, i) => issued + i);
}

/** What a step is made of. */
export function planStep(view: StartedRun, items: RunItems, step: number): IssuedStep {
  const { run, config, steps, streams: drawnFrom, testItems } = view;
  const rows = (count: number, split: RunItem['split'], dataset?: string) =>
    batchIndices(ofDataset(items, dataset)[split].length, count, step, config.seed);
  if (!drawnFrom) {
    const known = step < steps ? rows(config.batchSize, specOf(config).streams[0]!.split) : undefined;
    const streams = earlierStreams(config, { steps, testItems }, step, known);
    return {
      run,
      step,
      streams: streams.map((stream) => ({ ...stream, ...versionFor(view, stream, step) })),
    };
  }
  const streams = specOf(config).streams.flatMap(({ name, draws, samples, ...spec }): StepStream[] => {
    const from = drawnFrom.find(({ stream }) => stream === name);
    if (!from || !isScheduled(spec, step, steps)) return [];
    const drawn = {
      stream: name,
      kind: from.kind,
      ...(from.dataset !== undefined && { dataset: from.dataset }),
      split: from.split,
      rows:
        'batch' in draws
          ? rows(draws.batch, from.split, from.dataset).slice(
              0,
              draws.once ? Math.max(0, from.items - step * draws.batch) : draws.batch,
            )
          : { from: 0, count: Math.min(draws.first, from.items) },
      ...(samples !== undefined && { samples }),
    };
    return [{ ...drawn, ...versionFor(view, drawn, step) }];
  });
  return { run, step, streams };
}

/** Whether a stream belongs to a step. A stream with `every: N` belongs to steps N - 1, 2 N - 1 and so on, and to the last. */
const isScheduled = ({ schedule }: Pick<StreamSpec, 'schedule'>, step: number, steps: number): boolean =>
  schedule === undefined ||
  step === steps - 1 ||
  (schedule.every !== undefined && (step + 1) % schedule.every === 0);

/**
 * The oldest policy version that may answer the prompts of a stream: that bounds the staleness of what is trained on, and
 * what is measured is the version that the step starts from.
 */
function versionFor(
  { config }: StartedRun,
  { kind, stream }: Pick<StepStream, 'kind' | 'stream'>,
  step: number,
): Pick<StepStream, 'minPolicyVersion'> {
  if (kind !== 'prompts') return {};
  const { onPolicy, ahead } = specOf(config);
  const oldest = stream === 'evaluation' ? step : Math.max(0, step - ahead);
  return { minPolicyVersion: onPolicy ? oldest : 0 };
}

/** Whether the items of a stream may be issued: services have their version, or need none. */
export const isAnswerable = ({ minPolicyVersion = 0 }: StepStream, completed: number): boolean =>
  minPolicyVersion <= completed;

/** The events of the items of those streams of a step that are wanted. */
export function itemEvents(
  { config }: Pick<StartedRun, 'config'>,
  items: RunItems,
  issued: IssuedStep,
  wanted: (stream: StepStream) => boolean = () => true,
): NewEvent[] {
  const { run, step } = issued;
  const ids = idsOf(issued);
  return issued.streams.flatMap((stream, which) =>
    wanted(stream)
      ? rowsOf(stream).map((row, index) =>
          itemEvent(config, items, stream, row, { run, step, id: ids[which]!.issued[index]! }),
        )
      : [],
  );
}

function itemEvent(
  config: RunConfig,
  items: RunItems,
  stream: StepStream,
  row: number,
  { id, ...stamp }: { readonly run: string; readonly step: number; readonly id: string },
): NewEvent {
  const item = ofDataset(items, stream.dataset)[stream.split][row]!;
  switch (stream.kind) {
    case 'demonstrations': {
      const data = { ...(item as DemonstrationItem), ...stamp, demonstration: id };
      return { type: 'demonstration.recorded', id, data };
    }
    case 'comparisons':
      return {
        type: 'comparison.recorded',
        id,
        data: { ...(item as ComparisonItem), ...stamp, comparison: id },
      };
    case 'thumbs':
      return { type: 'thumb.recorded', id, data: { ...(item as ThumbItem), ...stamp, thumb: id } };
    case 'prompts': {
      const { text, messages, tools, tokens, metadata, completion } = item as PromptItem;
      const { sampling, timeoutMs } = dataSpecOf(specOf(config), stream.dataset) as PromptsSpec;
      const data = {
        ...stamp,
        prompt: id,
        text,
        ...(messages && { messages }),
        ...(tools && { tools }),
        tokens,
        ...(metadata && { metadata }),
        ...(completion && { completion }),
        samples: stream.samples ?? 1,
        minPolicyVersion: stream.minPolicyVersion ?? 0,
        sampling: { ...sampling, stopTokens: [...items.stopTokens] },
        seed: config.seed,
        timeoutMs,
      };
      return { type: 'prompt.issued', id, data };
    }
  }
}
