/** What a method needs of the event loop: a description that services follow, so that they know no method. */
import { itemId, rolloutId } from '@rlhf-streams/events';
import type { ConfigOf, MethodName, RunConfig } from './run-config.js';

/** Topics whose events an item of a step is joined from. */
export type JoinedTopic = 'demonstrations' | 'comparisons' | 'rollouts' | 'rewards' | 'reference-logprobs';

export interface Work {
  /** What the coordinator issues. */
  readonly issues: 'demonstrations' | 'comparisons' | 'prompts';
  /** What the optimizer joins by item, the item's own event first. */
  readonly joins: readonly JoinedTopic[];
  /** Steps issued ahead of the step under way. */
  readonly ahead: number;
  /** Whether steps change the policy that prompts are sampled from. */
  readonly onPolicy: boolean;
  /** What its versions are: models that generate texts, or models that score them. */
  readonly publishes: 'policy' | 'reward model';
  /** A policy version is published after every so many steps, and after the last. */
  readonly publishEvery: number;
}

type WorkOf = { readonly [Name in MethodName]: (config: ConfigOf<Name>) => Work };

const byMethod: WorkOf = {
  sft: (config) => overDataset(config, 'demonstrations', ['demonstrations']),
  reward: (config) => ({
    ...overDataset(config, 'comparisons', ['comparisons']),
    publishes: 'reward model',
  }),
  dpo: (config) => overDataset(config, 'comparisons', ['comparisons', 'reference-logprobs']),
  ppo: (config) => ({
    issues: 'prompts',
    joins: ['rollouts', 'rewards', 'reference-logprobs'],
    ahead: config.maxStaleness,
    onPolicy: true,
    publishes: 'policy',
    publishEvery: 1,
  }),
  sample: (config) => ({
    issues: 'prompts',
    joins: [
      'rollouts',
      ...(config.scorers.length > 0 ? (['rewards'] as const) : []),
      ...(config.reference !== undefined ? (['reference-logprobs'] as const) : []),
    ],
    ahead: SAMPLING_AHEAD,
    onPolicy: false,
    publishes: 'policy',
    publishEvery: config.steps,
  }),
};

/** A sampling run's policy never changes: steps are issued ahead only so that no service idles. */
const SAMPLING_AHEAD = 2;

const overDataset = (
  config: ConfigOf<'sft' | 'reward' | 'dpo'>,
  issues: 'demonstrations' | 'comparisons',
  joins: readonly JoinedTopic[],
): Work => ({
  issues,
  joins,
  ahead: config.prefetchSteps,
  onPolicy: false,
  publishes: 'policy',
  publishEvery: config.checkpointEvery,
});

export const workOf = (config: RunConfig): Work =>
  (byMethod[config.method] as (config: RunConfig) => Work)(config);

/** The run that a replay trains on the events of. */
export const replayed = (config: RunConfig): string | undefined =>
  'replay' in config ? config.replay : undefined;

/** The run whose events a run is trained on: itself, but for a replay. */
export const loggedBy = (config: RunConfig): string => replayed(config) ?? config.run;

/**
 * Ids of the items a step is made of, in the order they are computed. Step `config.steps`, after the last training
 * step, evaluates the `testItems` held-out items.
 */
export function itemsOf(config: RunConfig, step: number, testItems: number): string[] {
  const count = step < config.steps ? config.batchSize : testItems;
  const ids = Array.from({ length: count }, (_, index) => itemId(loggedBy(config), step, index));
  if (workOf(config).issues !== 'prompts') return ids;
  const samples = (config as ConfigOf<'ppo' | 'sample'>).samplesPerPrompt;
  return ids.flatMap((prompt) => Array.from({ length: samples }, (_, sample) => rolloutId(prompt, sample)));
}

/**
 * Training steps, and one more where there are held-out items. `steps` are the training steps as `run.started` says
 * them: a replay of a run that ended early has fewer than its configuration.
 */
export const stepsOf = (config: RunConfig, testItems: number, steps = config.steps): number =>
  steps + (testItems > 0 ? 1 : 0);

/** The oldest policy version that may generate the prompts of a step: the staleness bound. */
export const minPolicyVersion = (config: RunConfig, step: number): number =>
  workOf(config).onPolicy ? Math.max(0, step - workOf(config).ahead) : 0;
