/** What builds and PyTorch are compared at: numbers alone, which go to each of them as they are. */
import type { RunConfigInput } from '@rlhf-streams/runs';

const shape = (layers: number, width: number, heads: number, vocabSize: number) => ({
  layers,
  width,
  heads,
  vocabSize,
  contextLength: 64,
});

export type Shape = ReturnType<typeof shape>;

/** 0.87 million parameters. */
export const smallShape = shape(4, 128, 4, 512);
/** 11.5 million parameters. */
export const bigShape = shape(6, 384, 6, 2048);

export interface Decode {
  readonly kind: 'decode';
  readonly shape: Shape;
  readonly prompts: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Threads, one a core, each with its share of the prompts. */
  readonly threads: number;
}

export interface Training {
  readonly kind: 'training';
  readonly shape: Shape;
  readonly rows: number;
  readonly length: number;
  readonly threads: number;
  readonly learningRate: number;
  /** Updates that make one time. */
  readonly updates: number;
}

export interface Ppo {
  readonly kind: 'ppo';
  readonly run: RunConfigInput;
  /** Steps before the measured ones. */
  readonly warmUp: number;
  /** The same for a script that has no runs: the model is that of the policy and of the value. */
  readonly plain: {
    readonly shape: Shape;
    readonly prompts: number;
    readonly promptTokens: number;
    readonly newTokens: number;
    readonly epochs: number;
    readonly microBatch: number;
    readonly threads: number;
  };
}

/** Completions by a checkpoint. */
export interface Generation {
  readonly kind: 'generation';
  /** The folder of the checkpoint. */
  readonly model: string;
  readonly prompts: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  /** 0: greedy. */
  readonly temperature: number;
  readonly threads: number;
}

/** Steps of DPO on a checkpoint with an adapter on every linear map. */
export interface LoraStep {
  readonly kind: 'lora';
  /** The folder of the checkpoint. */
  readonly model: string;
  readonly rank: number;
  /** Pairs of a step, each of two sequences. */
  readonly pairs: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly gradientCheckpointing: boolean;
  readonly learningRate: number;
  readonly threads: number;
}

export type Workload = Decode | Training | Ppo | Generation | LoraStep;

const THREADS = 2;

export const decode: Decode = {
  kind: 'decode',
  shape: smallShape,
  prompts: 64,
  promptTokens: 16,
  newTokens: 48,
  threads: THREADS,
};

export const training = (shape: Shape, updates: number): Training => ({
  kind: 'training',
  shape,
  rows: 16,
  length: 64,
  threads: THREADS,
  learningRate: 1e-3,
  updates,
});

const PPO_WARM_UP = 2;
const PPO_STEPS = 4;

/** A fresh policy and a value model of the same size, against a gold reward. */
export const ppo = {
  kind: 'ppo',
  warmUp: PPO_WARM_UP,
  run: {
    run: 'bench',
    method: 'ppo',
    model: smallShape,
    prompts: 'bundled',
    // About 16 tokens. One text in thirteen is too short for that.
    promptWords: 7,
    allow: { dropped: 0.1 },
    scorers: ['gold:bundled'],
    steps: PPO_WARM_UP + PPO_STEPS,
    batchSize: 64,
    microBatchSize: 16,
    checkpointEvery: 2,
    sampling: { temperature: 1, maxNewTokens: 48 },
    ppo: { numPpoEpochs: 4 },
  },
  plain: {
    shape: smallShape,
    prompts: 64,
    promptTokens: 16,
    newTokens: 48,
    epochs: 4,
    microBatch: 16,
    threads: THREADS,
  },
} satisfies Ppo;
