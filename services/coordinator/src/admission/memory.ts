/**
 * The memory that a run will need, service by service, from the shapes of its models: the services that this process
 * runs must fit together into the memory it has. Services of other processes know their own memory, and refuse by
 * themselves what does not fit. Memory that other runs use is not counted.
 */
import {
  bytesText,
  generationBytes,
  type ModelConfig,
  parameterCount,
  scoringBytes,
  trainingBytes,
  weightBytes,
  withScalarHead,
} from '@rlhf-streams/model';
import { type RunConfig, workOf } from '@rlhf-streams/runs';
import { type FoundModel, named } from './named.js';

/** What this process is and has. */
export interface Machine {
  readonly limitBytes: number;
  /** Names of the services that it runs. */
  readonly services: readonly string[];
  /** Settings of the policy service and of the optimizer, where they are in this process. */
  readonly policyThreads: number;
  readonly policySlots: number;
  readonly optimizerWorkers: number;
}

export interface MemoryNeed {
  readonly neededBytes: number;
  readonly limitBytes: number;
}

/** Node and its libraries. */
const PROCESS_BYTES = 150e6;
/** Until the data are read nothing is known but that a sequence has a prompt and a token. */
export const SHORTEST = 2;

export function memoryOf(
  config: RunConfig,
  models: readonly FoundModel[],
  longest: number,
  machine: Machine,
): MemoryNeed {
  const needs = needsOf(config, models, longest, machine);
  // What the coordinator makes is made before the others compute.
  const { coordinator: toBeMade = 0, ...others } = needs;
  const computed = machine.services.reduce((sum, service) => sum + (others[service] ?? 0), 0);
  const neededBytes = Math.ceil(PROCESS_BYTES + Math.max(toBeMade, computed));
  return { neededBytes, limitBytes: machine.limitBytes };
}

export function fitsMemory(
  config: RunConfig,
  models: readonly FoundModel[],
  longest: number,
  machine: Machine,
): string | undefined {
  const { neededBytes, limitBytes } = memoryOf(config, models, longest, machine);
  if (neededBytes <= limitBytes) return undefined;
  const needs = Object.entries(needsOf(config, models, longest, machine))
    .filter(([service, bytes]) => bytes > 0 && machine.services.includes(service))
    .map(([service, bytes]) => `${service} ${bytesText(bytes)}`);
  const largest = models.reduce((a, b) => (parametersOf(b) > parametersOf(a) ? b : a));
  return `${named(largest)}: a model of ${parametersOf(largest).toExponential(1)} parameters; the run would need about ${bytesText(neededBytes)} of memory (${needs.join(', ')}), expected at most ${bytesText(limitBytes)}: take a smaller model, shorter texts, a smaller microBatchSize, fewer RLHF_POLICY_THREADS or RLHF_OPTIMIZER_WORKERS, or say in RLHF_MEMORY_LIMIT_BYTES that there is more`;
}

/** Bytes by service. */
function needsOf(
  config: RunConfig,
  models: readonly FoundModel[],
  longest: number,
  { policyThreads, policySlots, optimizerWorkers }: Machine,
): Readonly<Record<string, number>> {
  const { issues, joins, onPolicy } = workOf(config);
  const shapeOf = (part: FoundModel['part']) => models.find((model) => model.part === part)?.shape;
  const main = models[0]!.shape!;
  const length = Math.min(longest, main.contextLength);
  const scorers = models.flatMap(({ part, shape }) => (part === 'scorer' && shape ? [shape] : []));
  const made = models.flatMap(({ isNew, shape }) => (isNew && shape ? [weightBytes(shape)] : []));
  const samples = { threads: policyThreads, slots: policySlots, length, versions: onPolicy ? 2 : 1 };
  return {
    coordinator: Math.max(0, ...made),
    policy: issues === 'prompts' ? generationBytes(main, samples) : 0,
    reference: joins.includes('reference-logprobs')
      ? scoringBytes(shapeOf('reference') ?? main, { length })
      : 0,
    reward: scorers.reduce((sum, shape) => sum + scoringBytes(shape, { length }), 0),
    optimizer: optimizerBytes(config, main, shapeOf('value') ?? main, optimizerWorkers, length),
  };
}

function optimizerBytes(
  config: RunConfig,
  main: ModelConfig,
  value: ModelConfig,
  lanes: number,
  length: number,
): number {
  const rows = Math.min(config.microBatchSize, config.batchSize);
  switch (config.method) {
    case 'sample':
      return weightBytes(main);
    case 'sft':
      return trainingBytes([main], { lanes, rows, length });
    case 'ppo': {
      const episodes = Math.min(config.microBatchSize, config.batchSize * config.samplesPerPrompt);
      return trainingBytes([main, withScalarHead(value)], { lanes, rows: episodes, length });
    }
    // Each comparison is two sequences.
    case 'dpo':
      return trainingBytes([main], { lanes, rows: 2 * rows, length });
    case 'reward':
      return trainingBytes([withScalarHead(main)], { lanes, rows: 2 * rows, length });
  }
}

const parametersOf = ({ shape }: FoundModel): number => (shape ? parameterCount(shape) : 0);
