/** What the example trains: a policy by DPO, and one by PPO with a reward model, all of them adapters on one base. */
import type { RunConfigInput } from '@rlhf-streams/runs';

export interface Size {
  /** Steps of the policy of DPO, of the reward model and of the policy of PPO. */
  readonly steps: { readonly dpo: number; readonly reward: number; readonly ppo: number };
  /** Comparisons, or prompts, of a step. */
  readonly batch: { readonly pairs: number; readonly prompts: number };
  /** Held-out comparisons and prompts that the policies are measured by. */
  readonly heldOut: { readonly pairs: number; readonly prompts: number };
}

export const FULL: Size = {
  steps: { dpo: 24, reward: 24, ppo: 12 },
  batch: { pairs: 8, prompts: 16 },
  heldOut: { pairs: 80, prompts: 32 },
};
export const SHORT: Size = {
  steps: { dpo: 2, reward: 2, ppo: 2 },
  batch: { pairs: 2, prompts: 4 },
  heldOut: { pairs: 6, prompts: 4 },
};

/** The most tokens of a prompt that is answered, of an answer that is learned from, and of a comparison. */
export const MOST = { prompt: 96, answer: 32, comparison: 320 } as const;

export const BETA = 0.1;

export interface Sources {
  /** Folder of the model. */
  readonly model: string;
  /** Files of comparisons, to learn from and held out. */
  readonly pairs: string;
  readonly heldOut: string;
  /** Files of prompts, of those to learn from and of those held out. */
  readonly prompts: string;
  readonly heldOutPrompts: string;
  /** File of prompts of another kind. */
  readonly otherPrompts?: string;
}

/** The runs as one experiment: PPO waits for its reward model, and DPO for nobody. */
export function runsOf({ model, pairs, prompts }: Sources, { steps, batch }: Size): RunConfigInput[] {
  const adapter = { model, peft: { r: 16 }, checkpointEvery: 10 };
  const learning = (learningRate: number) => ({ learningRate, warmupSteps: 2 });
  const compared = {
    data: pairs,
    batchSize: batch.pairs,
    microBatchSize: 2,
    allow: { dropped: 0.5, cut: 1 },
  };
  return [
    {
      ...adapter,
      ...compared,
      run: 'dpo',
      method: 'dpo',
      steps: steps.dpo,
      optimizer: learning(5e-4),
      dpo: { beta: BETA, maxLength: MOST.comparison },
    },
    {
      ...adapter,
      ...compared,
      run: 'reward',
      method: 'reward',
      steps: steps.reward,
      optimizer: learning(5e-4),
      reward: { maxLength: MOST.comparison, centerRewardsCoefficient: 0.01 },
    },
    {
      ...adapter,
      run: 'ppo',
      method: 'ppo',
      prompts,
      scorers: ['run:reward'],
      value: 'shared',
      steps: steps.ppo,
      batchSize: batch.prompts,
      microBatchSize: 4,
      sampling: { temperature: 1, maxNewTokens: MOST.answer },
      optimizer: learning(2e-4),
      ppo: { numPpoEpochs: 1, numMiniBatches: 1, klCoef: 0.05 },
    },
  ];
}

export const EVALUATION = 'aligned';

/** The file of `rlhf-streams evaluate`: what the policies make of held-out comparisons, and which answers the reward model prefers. */
export const evaluationOf = (
  { model, heldOut, heldOutPrompts, otherPrompts }: Sources,
  { heldOut: size }: Size,
): object => ({
  evaluation: EVALUATION,
  policies: { base: model, dpo: 'run:dpo', ppo: 'run:ppo' },
  reference: model,
  sampling: { temperature: 0.7, maxNewTokens: 48 },
  suites: [
    {
      name: 'pairs',
      kind: 'multiple_choice',
      data: heldOut,
      limit: size.pairs,
      maxLength: MOST.comparison,
      allow: { dropped: 0.8, cut: 1 },
      measures: ['accuracy', 'accuracy_norm'],
    },
    ...Object.entries({ answers: heldOutPrompts, 'other-answers': otherPrompts }).flatMap(
      ([name, prompts]) =>
        prompts === undefined
          ? []
          : [{ name, kind: 'win_rate', prompts, limit: size.prompts, judges: ['run:reward'] }],
    ),
  ],
});
