/**
 * The controlled-sentiment experiment of the DPO paper (Rafailov et al. 2023, section 6.1) in small: SFT on review
 * sentences, comparisons ranked by a gold reward that the policy never sees, a reward model trained on them, PPO
 * against it, and DPO on the same comparisons. Every stage is a run like any other.
 */
import type { NewModel, RunConfigInput } from '@rlhf-streams/runs';

export interface RecipeOptions {
  /** `bundled`, or a file of labelled text. */
  readonly data: string;
  readonly seed: number;
  /** Of the policy and the reward model. Default: gpt2. */
  readonly architecture?: NewModel['architecture'];
  /** A twentieth of the steps: enough to test the pipeline, not what it learns. */
  readonly short?: boolean;
  /** Shares of the data that every run may lose; default: what a run may lose by itself. */
  readonly allow?: RunConfigInput['allow'];
}

export interface Stage {
  readonly title: string;
  readonly runs: readonly RunConfigInput[];
}

export const EVALUATED = ['sft', 'ppo', 'dpo'] as const;
export type Evaluated = (typeof EVALUATED)[number];
export const evaluationOf = (policy: Evaluated): string => `evaluate-${policy}`;

export function recipe({ data, seed, architecture = 'gpt2', short = false, allow }: RecipeOptions): Stage[] {
  const gold = `gold:${data}`;
  const scale = (steps: number) => (short ? Math.max(2, Math.round(steps / 20)) : steps);
  const sampling = { temperature: 1, topP: 1, maxNewTokens: 32 };
  const common = { seed, microBatchSize: 16, ...(allow && { allow }) };

  const sft: RunConfigInput = {
    ...common,
    run: 'sft',
    method: 'sft',
    model: { architecture, layers: 4, width: 128, heads: 4, contextLength: 64, vocabSize: 1024 },
    data,
    steps: scale(400),
    batchSize: 32,
    testFraction: 0.1,
    checkpointEvery: 50,
    optimizer: { learningRate: 4e-3, warmupSteps: scale(40), schedule: 'cosine', weightDecay: 0.01 },
  };
  const comparisons: RunConfigInput = {
    ...common,
    run: 'comparisons',
    method: 'sample',
    model: 'run:sft',
    prompts: data,
    scorers: [gold],
    rank: true,
    steps: scale(20),
    batchSize: 64,
    samplesPerPrompt: 4,
    sampling,
  };
  const reward: RunConfigInput = {
    ...common,
    run: 'reward',
    method: 'reward',
    model: 'run:sft',
    data: 'run:comparisons',
    steps: scale(100),
    batchSize: 32,
    testFraction: 0.15,
    checkpointEvery: 40,
    optimizer: { learningRate: 1e-3, warmupSteps: scale(10), weightDecay: 0.01 },
    reward: { centerRewardsCoefficient: 0.01 },
  };
  const ppo: RunConfigInput = {
    ...common,
    run: 'ppo',
    method: 'ppo',
    model: 'run:sft',
    prompts: data,
    scorers: ['run:reward', gold],
    steps: scale(24),
    batchSize: 64,
    sampling,
    optimizer: { learningRate: 3e-4 },
    ppo: { klCoef: 0.05, numPpoEpochs: 4, vfCoef: 0.1, missingEosPenalty: 1 },
  };
  const dpo: RunConfigInput = {
    ...common,
    run: 'dpo',
    method: 'dpo',
    model: 'run:sft',
    data: 'run:comparisons',
    steps: scale(70),
    batchSize: 32,
    testFraction: 0.15,
    checkpointEvery: 40,
    optimizer: { learningRate: 1e-4, warmupSteps: scale(10) },
    dpo: { beta: 0.1 },
  };
  const evaluations = EVALUATED.map(
    (policy): RunConfigInput => ({
      ...common,
      run: evaluationOf(policy),
      method: 'sample',
      model: `run:${policy}`,
      reference: 'run:sft',
      prompts: data,
      testPrompts: true,
      scorers: ['run:reward', gold],
      steps: 1,
      batchSize: short ? 16 : 256,
      sampling,
    }),
  );
  return [
    { title: 'SFT', runs: [sft] },
    { title: 'Reward model', runs: [comparisons, reward] },
    { title: 'PPO', runs: [ppo] },
    { title: 'DPO', runs: [dpo] },
    { title: 'Evaluation', runs: evaluations },
  ];
}
