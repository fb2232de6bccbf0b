import { RunId } from '@rlhf-streams/events';
import { z } from 'zod';
import { RunError } from './errors.js';
import { DpoConfig, optimizerConfig, PpoConfig, RewardConfig, SftConfig } from './hyperparameters.js';
import { explainMistakes, type Mistake, UNEXPLAINED } from './mistakes.js';
import { type NamedSource, runOf, sourcesIn } from './named-sources.js';
import { named } from './names.js';
import { type Setting, settingsOf } from './settings.js';
import { DataSource, ModelSource, SamplingConfig, ScorerSource } from './sources.js';

const share = z.number().min(0).max(1);

/** What every run has. */
const common = {
  run: RunId.describe('name of the run; ids, folders and events carry it').register(named, {
    as: ['run_name', 'name', 'id'],
  }),
  seed: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'of every draw: initial weights, order of the data, samples; the same seed gives the same weights',
    )
    .register(named, { as: ['random_seed', 'data_seed'] }),
  steps: z
    .int()
    .min(1)
    .max(1_000_000)
    .describe('batches of the run: updates of the model, or as many batches of samples')
    .register(named, { as: ['max_steps', 'num_steps', 'iterations'] }),
  microBatchSize: z
    .int()
    .min(1)
    .max(4096)
    .default(16)
    .describe('sequences a worker computes at once: fixes the bits of a run, not its result')
    .register(named, { as: ['per_device_train_batch_size'] }),
  checkpointEvery: z
    .int()
    .min(1)
    .default(10)
    .describe('steps; what came since is computed again after a crash')
    .register(named, { as: ['save_steps'] }),
  stallTimeoutMs: z
    .int()
    .min(1000)
    .default(600_000)
    .describe('milliseconds; a run that waits longer for events fails and says for which'),
  allow: z
    .strictObject({
      dropped: share
        .default(0.05)
        .describe(
          'of the rows: those left out because they do not fit the model or the method; not those without a preference, duplicate prompts, or held out beyond maxTestItems',
        ),
      cut: share.default(0.2).describe('of the rows: those shortened to what the model takes'),
    })
    .prefault({})
    .describe('shares of the data that may be lost; a run that would lose more is refused'),
};

/** Runs that train. */
const trained = {
  replay: RunId.optional().describe(
    'a run that has ended: trains on the events it logged, issues none, and may differ only in how it learns',
  ),
};

const initialPolicy = ModelSource.describe('what training starts from');
const reference = ModelSource.optional()
  .describe("frozen, with the policy's tokenizer; the initial policy if not given")
  .register(named, { as: ['ref_model', 'reference_model'] });

const demonstrations = DataSource.describe('texts to imitate: rows of {text} or {prompt, completion}');
const preferences = DataSource.describe(
  'rows of {prompt, chosen, rejected}, {chosen, rejected} or {prompt, completions, ranks}, or what a sampling run ranked',
);

/** Runs over a fixed dataset. */
const dataset = (data: typeof demonstrations) => ({
  data: data.register(named, { as: ['dataset', 'dataset_name', 'train_dataset', 'prompts'] }),
  batchSize: z
    .int()
    .min(1)
    .max(65_536)
    .default(32)
    .describe('texts or comparisons of a step')
    .register(named, { as: ['train_batch_size'] }),
  testFraction: z
    .number()
    .min(0)
    .max(0.9)
    .default(0)
    .describe('share of the data, never trained on and evaluated at the end')
    .register(named, { as: ['test_size', 'test_split'] }),
  maxTestItems: z.int().min(1).max(65_536).default(256).describe('held-out items evaluated, at most'),
  prefetchSteps: z.int().min(1).max(1000).default(4).describe('steps issued ahead of training'),
});

/** Runs that sample from a policy. */
const sampled = {
  prompts: DataSource.describe('rows of {prompt}; of {text}, the first words are taken').register(named, {
    as: ['data', 'dataset', 'dataset_name', 'train_dataset'],
  }),
  testFraction: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.1)
    .describe('share of the prompts, kept out of training')
    .register(named, { as: ['test_size', 'test_split'] }),
  promptWords: z.int().min(1).default(3).describe('of a text without prompts, so many first words are one'),
  batchSize: z.int().min(1).max(65_536).default(64).describe('prompts of a step'),
  samplesPerPrompt: z
    .int()
    .min(1)
    .max(1024)
    .default(1)
    .describe('responses sampled for each prompt of a step')
    .register(named, { as: ['num_generations', 'n'] }),
  sampling: SamplingConfig.prefault({})
    .describe('how responses are drawn')
    .register(named, {
      as: ['generation', 'generation_config', 'generation_kwargs'],
    }),
  timeoutMs: z
    .int()
    .min(1)
    .default(300_000)
    .describe('milliseconds that the generation of a rollout may take'),
};

const scorer = { as: ['reward', 'reward_model', 'reward_model_path', 'reward_funcs', 'scorer'] };

export const SftRun = z
  .strictObject({
    ...common,
    ...trained,
    ...dataset(demonstrations),
    method: z.literal('sft').describe('supervised fine-tuning'),
    model: initialPolicy,
    optimizer: optimizerConfig(2e-5),
    sft: SftConfig,
  })
  .meta({
    title: 'Supervised fine-tuning',
    description: 'Trains a model to write as the texts of a dataset do, by next-token cross-entropy.',
    source: 'Ouyang et al. 2022, step 1, https://arxiv.org/abs/2203.02155',
    examples: [
      { run: 'my-sft', method: 'sft', steps: 100, model: { layers: 2, width: 64 }, data: 'bundled' },
    ],
  });

export const RewardRun = z
  .strictObject({
    ...common,
    ...trained,
    ...dataset(preferences),
    method: z.literal('reward').describe('reward model'),
    model: ModelSource.describe('the body to start from; the scoring head is new'),
    optimizer: optimizerConfig(1e-4),
    reward: RewardConfig,
  })
  .meta({
    title: 'Reward model',
    description:
      'Trains a model to score responses so that preferred ones score higher (Bradley-Terry likelihood).',
    source: 'Ouyang et al. 2022, step 2, https://arxiv.org/abs/2203.02155',
    examples: [
      { run: 'my-reward', method: 'reward', steps: 100, model: 'run:my-sft', data: 'preferences.jsonl' },
    ],
  });

export const PpoRun = z
  .strictObject({
    ...common,
    ...trained,
    ...sampled,
    method: z.literal('ppo').describe('proximal policy optimisation'),
    model: initialPolicy,
    reference,
    value: ModelSource.optional()
      .describe(
        "where the value model starts: the first scorer, if it is a model with the policy's tokenizer and context, else the initial policy",
      )
      .register(named, { as: ['value_model', 'critic'] }),
    scorers: z
      .array(ScorerSource)
      .min(1)
      .describe(
        'the first one rewards, the others are only reported; one with a tokenizer of its own reads the text',
      )
      .register(named, scorer),
    maxStaleness: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe('versions a rollout may be older than the policy it trains'),
    optimizer: optimizerConfig(3e-6),
    ppo: PpoConfig,
  })
  .meta({
    title: 'Proximal policy optimisation',
    description:
      'Trains a policy on its own samples for the reward of a scorer, less the KL from a frozen reference.',
    source:
      'Schulman et al. 2017, https://arxiv.org/abs/1707.06347; Ouyang et al. 2022, step 3, https://arxiv.org/abs/2203.02155',
    examples: [
      {
        run: 'my-ppo',
        method: 'ppo',
        steps: 100,
        model: 'run:my-sft',
        prompts: 'bundled',
        scorers: ['run:my-reward'],
      },
    ],
  });

export const DpoRun = z
  .strictObject({
    ...common,
    ...trained,
    ...dataset(preferences),
    method: z.literal('dpo').describe('direct preference optimisation'),
    model: initialPolicy,
    reference,
    optimizer: optimizerConfig(1e-6),
    dpo: DpoConfig,
  })
  .meta({
    title: 'Direct preference optimisation',
    description: 'Trains a policy on preferences themselves, without a reward model and without sampling.',
    source: 'Rafailov et al. 2023, https://arxiv.org/abs/2305.18290',
    examples: [{ run: 'my-dpo', method: 'dpo', steps: 100, model: 'run:my-sft', data: 'preferences.jsonl' }],
  });

export const SampleRun = z
  .strictObject({
    ...common,
    ...sampled,
    method: z.literal('sample').describe('samples and trains nothing'),
    model: ModelSource.describe('the policy to sample from'),
    reference: ModelSource.optional()
      .describe('with it, log-probs and KL are reported')
      .register(named, { as: ['ref_model', 'reference_model'] }),
    scorers: z
      .array(ScorerSource)
      .default([])
      .describe('each scores every sample; the first one ranks')
      .register(named, scorer),
    rank: z
      .boolean()
      .default(false)
      .describe("record a comparison of each prompt's samples by the first scorer"),
    testPrompts: z.boolean().default(false).describe('take the prompts kept out of training'),
  })
  .meta({
    title: 'Sampling',
    description:
      'Samples from a policy, scores the samples and, with rank, records preferences; trains nothing.',
    source: 'Stiennon et al. 2020, section 3, https://arxiv.org/abs/2009.01325',
    examples: [{ run: 'my-samples', method: 'sample', steps: 10, model: 'run:my-sft', prompts: 'bundled' }],
  });

/** A run's configuration: what a config file holds and POST /v1/runs takes. */
export const RunConfig = z.discriminatedUnion('method', [SftRun, RewardRun, PpoRun, DpoRun, SampleRun]);
export type RunConfig = z.output<typeof RunConfig>;
export type RunConfigInput = z.input<typeof RunConfig>;
export type MethodName = RunConfig['method'];
export type ConfigOf<Name extends MethodName> = Extract<RunConfig, { method: Name }>;

/** The settings of each method's runs. */
export const settingsByMethod = (): Record<MethodName, Setting[]> =>
  Object.fromEntries(
    RunConfig.options.map((schema) => [schema.shape.method.value, settingsOf(schema)]),
  ) as Record<MethodName, Setting[]>;

/** The sources that a configuration names. */
export const namedSources = (config: RunConfig): NamedSource[] => sourcesIn(RunConfig, config);

/** The runs that a run waits for: those whose models or data it takes, or of a replay the one that it replays. */
export function runsBuiltOn(config: RunConfig): string[] {
  if ('replay' in config && config.replay !== undefined) return [config.replay];
  const runs = namedSources(config).flatMap(({ source }) => runOf(source) ?? []);
  return [...new Set(runs)];
}

/** Everything that is wrong with a configuration, each mistake with its path, what was expected and what came. */
export function runConfigMistakes(json: unknown): Mistake[] {
  const result = RunConfig.safeParse(json, { error: () => UNEXPLAINED });
  if (!result.success) return explainMistakes(result.error.issues, json, settingsByMethod());
  return namedSources(result.data)
    .filter(({ source }) => runOf(source) === result.data.run)
    .map(({ path, source }) => ({
      path: [...path],
      message: `expected another run than this one, which has nothing yet, got '${source}'`,
      code: 'custom',
    }));
}

/** @throws RunError TRAINING_CONFIG_INVALID naming every mistake by its path, what was expected and what came. */
export function parseRunConfig(json: unknown): RunConfig {
  const mistakes = runConfigMistakes(json);
  if (mistakes.length === 0) return RunConfig.parse(json);
  const said = mistakes.map(
    ({ path, message }) => `  ${path.length > 0 ? `${z.core.toDotPath(path)}: ` : ''}${message}`,
  );
  throw new RunError('TRAINING_CONFIG_INVALID', `not a run's configuration:\n${said.join('\n')}`);
}
