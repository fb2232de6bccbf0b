/**
 * The memory that a run will need, service by service, from the shapes of its models: the services that this process
 * runs must fit together into the memory it has. Services of other processes know their own memory, and refuse by
 * themselves what does not fit. Memory that other runs use is not counted.
 */
import {
  bytesText,
  generationBytes,
  type ModelConfig,
  type Peft,
  parameterCount,
  scoringBytes,
  trainedModel,
  trainingBytes,
  weightBytes,
} from '@rlhf-streams/model';
import { type ModelRole, type RunConfig, specOf } from '@rlhf-streams/runs';
import { type FoundModel, named } from './found.js';
import type { Lengths } from './rules.js';

/** The process that admits: its memory, its services and their settings. */
export interface Machine {
  readonly limitBytes: number;
  /** Names of the services that it runs. */
  readonly services: readonly string[];
  /** Settings of the policy service and of the optimizer, if they run in this process. */
  readonly policyThreads: number;
  readonly policySlots: number;
  readonly optimizerWorkers: number;
}

export interface MemoryNeed {
  readonly neededBytes: number;
  readonly limitBytes: number;
}

/** Memory of Node and its libraries. */
const PROCESS_BYTES = 150e6;
/** The estimate before data are read: sequences of a prompt and a completion of one token, and pairs of them. */
export const SMALLEST: Size = { longest: 2, mostSequences: 2 };

type Size = Pick<Lengths, 'longest' | 'mostSequences'>;

export function memoryOf(
  config: RunConfig,
  models: readonly FoundModel[],
  size: Size,
  machine: Machine,
): MemoryNeed {
  const needs = needsOf(config, models, size, machine);
  // The coordinator makes models before the other services compute, so that the two do not add up.
  const { coordinator: toBeMade = 0, ...others } = needs;
  const computed = machine.services.reduce((sum, service) => sum + (others[service] ?? 0), 0);
  const neededBytes = Math.ceil(PROCESS_BYTES + Math.max(toBeMade, computed));
  return { neededBytes, limitBytes: machine.limitBytes };
}

export function fitsMemory(
  config: RunConfig,
  models: readonly FoundModel[],
  size: Size,
  machine: Machine,
): string | undefined {
  const { neededBytes, limitBytes } = memoryOf(config, models, size, machine);
  if (neededBytes <= limitBytes) return undefined;
  const needs = Object.entries(needsOf(config, models, size, machine))
    .filter(([service, bytes]) => bytes > 0 && machine.services.includes(service))
    .map(([service, bytes]) => `${service} ${bytesText(bytes)}`);
  const largest = models.reduce((a, b) => (parametersOf(b) > parametersOf(a) ? b : a));
  return `${named(largest)}: a model of ${parametersOf(largest).toExponential(1)} parameters; the run would need about ${bytesText(neededBytes)} of memory (${needs.join(', ')}), expected at most ${bytesText(limitBytes)}: take a smaller model, shorter texts, a smaller microBatchSize, fewer RLHF_POLICY_THREADS or RLHF_OPTIMIZER_WORKERS, or say in RLHF_MEMORY_LIMIT_BYTES that there is more`;
}

/** Bytes that each service needs, by its name. */
function needsOf(
  config: RunConfig,
  models: readonly FoundModel[],
  { longest, mostSequences }: Size,
  { policyThreads, policySlots, optimizerWorkers }: Machine,
): Readonly<Record<string, number>> {
  const spec = specOf(config);
  const shapeOf = (name: ModelRole['name']) => models.find(({ role }) => role.name === name)?.shape;
  const main = models[0]!.shape!;
  const length = Math.min(longest, main.contextLength);
  const scorers = models.flatMap(({ role, shape }) => (role.name === 'scorer' && shape ? [shape] : []));
  const made = models.flatMap(({ isNew, shape }) => (isNew && shape ? [weightBytes(shape)] : []));
  const peft = peftOf(config);
  const sampled = peft ? trainedModel(main, { head: 'language', peft, isPublished: true }) : main;
  const samples = {
    threads: policyThreads,
    slots: policySlots,
    length,
    versions: spec.onPolicy ? 2 : 1,
  };
  return {
    coordinator: Math.max(0, ...made),
    policy: spec.data.kind === 'prompts' ? generationBytes(sampled, samples) : 0,
    reference: spec.joins.includes('reference-logprobs')
      ? scoringBytes(shapeOf('reference') ?? main, { length })
      : 0,
    reward: scorers.reduce((sum, shape) => sum + scoringBytes(shape, { length }), 0),
    optimizer: optimizerBytes(config, (name) => shapeOf(name) ?? main, optimizerWorkers, {
      length,
      mostSequences,
    }),
  };
}

function optimizerBytes(
  config: RunConfig,
  shapeOf: (name: ModelRole['name']) => ModelConfig,
  workers: number,
  { length, mostSequences }: { readonly length: number; readonly mostSequences: number },
): number {
  const { trains, streams, sequencesPerItem } = specOf(config);
  if (trains.length === 0) return 0;
  const trained = trains.map(({ from, head, trunk, movedBy }, i) => ({
    model: trainedModel(shapeOf(from), { head, peft: peftOf(config), isPublished: i === 0 }),
    onTrunk: trunk !== undefined,
    byLineSearch: movedBy === 'line search',
  }));
  const items = Math.max(
    ...streams.map(({ draws, samples = 1 }) => ('batch' in draws ? draws.batch * samples : 0)),
  );
  // A micro-batch holds whole items.
  const samples = Math.max(...streams.map(({ samples = 1 }) => samples));
  const together = Math.min(sequencesPerItem, Math.max(mostSequences, samples));
  const { microBatchTokens = Number.POSITIVE_INFINITY, gradientCheckpointing: recomputes = false } =
    'microBatchTokens' in config || 'gradientCheckpointing' in config ? config : {};
  const most = Math.min(config.microBatchSize, Math.floor(microBatchTokens / length));
  const rows = Math.max(together, Math.min(most, together * items));
  return trainingBytes(trained, { workers, rows, length, recomputes });
}

/** The adapters that a run trains, if it does. */
export const peftOf = (config: RunConfig): Peft | undefined => ('peft' in config ? config.peft : undefined);

const parametersOf = ({ shape }: FoundModel): number => (shape ? parameterCount(shape) : 0);
