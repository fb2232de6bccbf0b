/**
 * The memory that a run will need, service by service, from the shapes of its models: the services that this process
 * runs must fit together into the memory it has. Weights that nobody changes count once, however many services use them.
 * Services of other processes know their own memory, and refuse by themselves what does not fit. Memory that other runs use
 * is not counted.
 */
import {
  baseBytes,
  bytesText,
  generationBytes,
  type Peft,
  parameterCount,
  scoringBytes,
  trainedModel,
  trainingBytes,
  weightBytes,
} from '@rlhf-streams/model';
import { type RunConfig, specOf, trainsWhole } from '@rlhf-streams/runs';
import { type FoundModel, modelOf, named } from './found.js';
import type { Lengths } from './rules.js';

/** The process that admits: its memory, its services and their settings. */
export interface Machine {
  readonly limitBytes: number;
  /** Names of the services that it runs. */
  readonly services: readonly string[];
  /** Settings of the services that compute, if they run in this process. */
  readonly policyThreads: number;
  readonly policySlots: number;
  readonly scoringThreads: number;
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
  // The coordinator makes models before the other services compute, so that the two do not add up.
  const { coordinator: toBeMade = NOTHING, ...others } = needsOf(config, models, size, machine);
  const needed = machine.services.flatMap((service) => others[service] ?? []);
  const bases = new Map(needed.flatMap((need) => [...need.bases]));
  const computed = sumOf([...needed.map(({ own }) => own), ...bases.values()]);
  const neededBytes = Math.ceil(PROCESS_BYTES + Math.max(toBeMade.own, computed));
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
    .map(([service, { own, bases }]) => [service, own + sumOf([...bases.values()])] as const)
    .filter(([service, bytes]) => bytes > 0 && machine.services.includes(service))
    .map(([service, bytes]) => `${service} ${bytesText(bytes)}`);
  const largest = models.reduce((a, b) => (parametersOf(b) > parametersOf(a) ? b : a));
  return `${named(largest)}: a model of ${parametersOf(largest).toExponential(1)} parameters; the run would need about ${bytesText(neededBytes)} of memory (${needs.join(', ')}), expected at most ${bytesText(limitBytes)}: take a smaller model, shorter texts, a smaller microBatchSize, fewer RLHF_POLICY_THREADS, RLHF_SCORING_THREADS or RLHF_OPTIMIZER_WORKERS, or say in RLHF_MEMORY_LIMIT_BYTES that there is more`;
}

interface Need {
  /** Bytes of the service alone. */
  readonly own: number;
  /** Bytes of weights that lie in files, by whose they are: services of one process share them. */
  readonly bases: ReadonlyMap<string, number>;
}

const NOTHING: Need = { own: 0, bases: new Map() };
const sumOf = (bytes: readonly number[]): number => bytes.reduce((sum, some) => sum + some, 0);
const own = (bytes: number): Need => ({ own: bytes, bases: new Map() });
const sharing = (bytes: number, model: FoundModel): Need => {
  const base = baseBytes(model.shape!);
  return { own: bytes - base, bases: new Map([[baseOf(model), base]]) };
};
const together = (needs: readonly Need[]): Need => ({
  own: sumOf(needs.map(({ own }) => own)),
  bases: new Map(needs.flatMap(({ bases }) => [...bases])),
});

/** Names the weights of a model, or of the base of its adapter. */
const baseOf = ({ base, name }: FoundModel): string => base ?? name;

/** What each service needs, by its name. */
function needsOf(
  config: RunConfig,
  models: readonly FoundModel[],
  { longest, mostSequences }: Size,
  { policyThreads, policySlots, scoringThreads, optimizerWorkers }: Machine,
): Readonly<Record<string, Need>> {
  const spec = specOf(config);
  const policy = models[0]!;
  const length = Math.min(longest, policy.shape!.contextLength);
  const scorers = models.filter(({ role, shape }) => role.name === 'scorer' && shape);
  const made = models.flatMap(({ isNew, shape }) => (isNew && shape ? [weightBytes(shape)] : []));
  const reference = modelOf(models, 'reference');
  const scoring = (model: FoundModel) =>
    sharing(scoringBytes(model.shape!, { length, threads: scoringThreads }), model);
  return {
    coordinator: own(Math.max(0, ...made)),
    policy:
      spec.data.kind === 'prompts'
        ? policyNeed(config, policy, { threads: policyThreads, slots: policySlots, length })
        : NOTHING,
    reference: spec.joins.includes('reference-logprobs') ? scoring(reference) : NOTHING,
    reward: together(scorers.map(scoring)),
    optimizer: optimizerNeed(config, models, optimizerWorkers, { length, mostSequences }),
  };
}

function policyNeed(
  config: RunConfig,
  policy: FoundModel,
  load: { readonly threads: number; readonly slots: number; readonly length: number },
): Need {
  const frozen = !trainsWhole(config);
  const peft = peftOf(config);
  // A run that trains no adapter may sample from one.
  const shape = peft
    ? trainedModel(policy.shape!, { head: 'language', peft, isPublished: true })
    : policy.shape!;
  const bytes = generationBytes(shape, { ...load, frozen, versions: specOf(config).onPolicy ? 2 : 1 });
  return frozen ? sharing(bytes, { ...policy, shape }) : own(bytes);
}

function optimizerNeed(
  config: RunConfig,
  models: readonly FoundModel[],
  workers: number,
  { length, mostSequences }: { readonly length: number; readonly mostSequences: number },
): Need {
  const { trains, streams, sequencesPerItem } = specOf(config);
  if (trains.length === 0) return NOTHING;
  const trained = trains.map(({ from, head, trunk, movedBy }, index) => {
    const start = modelOf(models, from);
    return {
      model: trainedModel(start.shape!, { head, peft: peftOf(config), isPublished: index === 0 }),
      base: baseOf(start),
      onTrunk: trunk !== undefined,
      byLineSearch: movedBy === 'line search',
    };
  });
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
  const bytes = trainingBytes(trained, { workers, rows, length, recomputes });
  const bases = new Map(
    trained.flatMap(({ model, base }) => (model.adapter ? [[base, baseBytes(model)] as const] : [])),
  );
  return { own: bytes - sumOf([...bases.values()]), bases };
}

/** The adapters that a run trains, if it does. */
export const peftOf = (config: RunConfig): Peft | undefined => ('peft' in config ? config.peft : undefined);

const parametersOf = ({ shape }: FoundModel): number => (shape ? parameterCount(shape) : 0);
