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
  /** Whether the reward model, PPO and DPO learn low-rank adapters on the SFT model. Default: they learn all weights. */
  readonly lora?: boolean;
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

export function recipe(options: RecipeOptions): Stage[] {
  const { data, seed, architecture = 'gpt2', lora = false, short = false, allow } = options;
  const gold = `gold:${data}`;
  const scale = (steps: number) => (short ? Math.max(2, Math.round(steps / 20)) : steps);
  const sampling = { temperature: 1, topP: 1, maxNewTokens: 32 };
  const common = { seed, microBatchSize: 16, ...(allow && { allow }) };
  /** Adapters want larger rates than whole models. */
  const learning = (learningRate: number) => ({ learningRate: lora ? 5 * learningRate : learningRate });
  const adapted = { ...common, ...(lora && { peft: { r: 16 } }) };

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
    ...adapted,
    run: 'reward',
    method: 'reward',
    model: 'run:sft',
    data: 'run:comparisons',
    steps: scale(100),
    batchSize: 32,
    testFraction: 0.15,
    checkpointEvery: 40,
    optimizer: { ...learning(1e-3), warmupSteps: scale(10), weightDecay: 0.01 },
    reward: { centerRewardsCoefficient: 0.01 },
  };
  const ppo: RunConfigInput = {
    ...adapted,
    run: 'ppo',
    method: 'ppo',
    model: 'run:sft',
    prompts: data,
    scorers: ['run:reward', gold],
    steps: scale(24),
    batchSize: 64,
    sampling,
    optimizer: learning(3e-4),
    ppo: { klCoef: 0.05, numPpoEpochs: 4, vfCoef: 0.1, missingEosPenalty: 1 },
  };
  const dpo: RunConfigInput = {
    ...adapted,
    run: 'dpo',
    method: 'dpo',
    model: 'run:sft',
    data: 'run:comparisons',
    steps: scale(70),
    batchSize: 32,
    testFraction: 0.15,
    checkpointEvery: 40,
    optimizer: { ...learning(1e-4), warmupSteps: scale(10) },
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
