/** A thread that generates as one of the policy's does, and says how long its programs took. */
import { workerData } from 'node:worker_threads';
import { createGenerator, keyFor } from '@rlhf-streams/model';
import { type Engine, onnxEngine } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';
import { big, initialParameters, small, someTokens } from './models.js';
import { timed } from './timing.js';

export interface GenerationThreadOptions {
  readonly size: 'small' | 'big';
  readonly slots: number;
  readonly prompts: number;
  readonly promptTokens: number;
  readonly newTokens: number;
}

/** Milliseconds of a run, and of the programs in it. */
export interface GenerationTimes {
  readonly total: number;
  readonly prefill: number;
  /** Loading the weights, and the first step with them. */
  readonly load: number;
  readonly decode: number;
}

const { size, slots, prompts, promptTokens, newTokens } = workerData as GenerationThreadOptions;
const config = { small, big }[size];
const parameters = initialParameters(config);
const tokens = someTokens(prompts * promptTokens, config);
const { engine, take } = timedEngine();
const generator = createGenerator(engine, config, { slots });
let runs = 0;

const api = {
  /** Completes these prompts with a version of the weights that was not there before, as in each step of training. */
  async run(indices: readonly number[]): Promise<GenerationTimes> {
    const weights = { version: `${runs++}`, parameters };
    const complete = (prompt: number) =>
      generator.generate({
        weights,
        promptTokens: [...tokens.subarray(prompt * promptTokens, (prompt + 1) * promptTokens)],
        sampling: { temperature: 0.7, topK: 0, topP: 1 },
        maxNewTokens: newTokens,
        stopTokens: [],
        key: keyFor(0, `rollout ${prompt}`),
      });
    const total = await timed(() => Promise.all(indices.map(complete)));
    return { total, ...take() };
  },
};

/** An engine that adds up the milliseconds its programs take. */
function timedEngine() {
  const inner = onnxEngine();
  const none = { prefill: 0, load: 0, decode: 0 };
  let spent = { ...none };
  let isFirst = true;
  const adding = async <T>(kind: keyof typeof none, work: () => Promise<T>): Promise<T> => {
    const begun = performance.now();
    const result = await work();
    spent[kind] += performance.now() - begun;
    return result;
  };
  const engine: Engine = {
    ...inner,
    async open(state, options) {
      const workspace = await inner.open(state, options);
      return {
        ...workspace,
        load: (values) => {
          isFirst = true;
          return adding('load', () => workspace.load(values));
        },
        run(program, feeds) {
          const kind = program.startsWith('prefill') ? 'prefill' : isFirst ? 'load' : 'decode';
          if (kind !== 'prefill') isFirst = false;
          return adding(kind, () => workspace.run(program, feeds));
        },
      };
    },
  };
  /** What was spent since the last call. */
  const take = () => {
    const taken = spent;
    spent = { ...none };
    return taken;
  };
  return { engine, take };
}

export type GenerationThread = typeof api;
serve(api);
