/** Continuous batching: prompts in, completions out, and where the time goes. */
import { type Completion, createGenerator, keyFor, sampleToken } from '@rlhf-streams/model';
import { type Engine, onnxEngine } from '@rlhf-streams/tensor';
import type { Measurement, Row } from './measurement.js';
import { initialParameters, nameOf, small, someTokens } from './models.js';
import { inTurn, median, ratio, timed } from './timing.js';

const PROMPTS = 64;
const PROMPT_TOKENS = 16;
const NEW_TOKENS = 48;
const SLOTS = [32, 64] as const;
const SAMPLING = { temperature: 0.7, topK: 0, topP: 1 };

export const generation: Measurement = {
  name: 'generation',
  about: `${PROMPTS} prompts of ${PROMPT_TOKENS} tokens, ${NEW_TOKENS} new tokens each, ${nameOf(small)} parameters, one thread`,
  async run() {
    const generators = SLOTS.map((slots) => ({ slots, ...generating(slots) }));
    const variants: Record<string, () => unknown> = { sampling: drawAll };
    for (const { slots, run } of generators) variants[slots] = run;
    const times = await inTurn(variants, { rounds: 6 });
    const rows = generators.map(({ slots, runs }): Row => {
      const generating = times[slots]!;
      // The first run compiles.
      const share = (of: Kind) => median(runs.slice(1).map((run) => run[of] / run.total));
      const sampling = ratio(generating, times.sampling!);
      return {
        slots,
        'median ms': median(generating),
        'best ms': Math.min(...generating),
        'tokens/s': Math.round((PROMPTS * NEW_TOKENS * 1000) / median(generating)),
        'prefill %': 100 * share('prefill'),
        'decode %': 100 * share('decode'),
        'sampling %': 100 * sampling,
        'caches and rest %': 100 * (1 - share('prefill') - share('decode') - sampling),
      };
    });
    for (const { close } of generators) close();
    return {
      rows,
      notes: ['Prefill and decode are timed around their programs, sampling on as many draws by itself.'],
    };
  },
};

type Kind = 'prefill' | 'decode';
type Run = Record<Kind | 'total', number>;

function generating(slots: number) {
  const { engine, take } = timedEngine();
  const runs: Run[] = [];
  const generator = createGenerator(engine, small, { slots });
  const parameters = initialParameters(small);
  const tokens = someTokens(PROMPTS * PROMPT_TOKENS, small);
  const complete = (prompt: number): Promise<Completion> =>
    generator.generate({
      weights: { version: 'initial', parameters },
      promptTokens: [...tokens.subarray(prompt * PROMPT_TOKENS, (prompt + 1) * PROMPT_TOKENS)],
      sampling: SAMPLING,
      maxNewTokens: NEW_TOKENS,
      stopTokens: [],
      key: keyFor(0, `rollout ${prompt}`),
    });
  return {
    runs,
    async run() {
      const total = await timed(() => Promise.all(Array.from({ length: PROMPTS }, (_, i) => complete(i))));
      runs.push({ ...take(), total });
    },
    close: () => generator.close(),
  };
}

/** An engine that adds up the milliseconds its programs take. */
function timedEngine() {
  const inner = onnxEngine();
  let spent: Record<Kind, number> = { prefill: 0, decode: 0 };
  const engine: Engine = {
    ...inner,
    async compile(program, specs) {
      const executable = await inner.compile(program, specs);
      const kind: Kind = 'positions' in specs ? 'decode' : 'prefill';
      return {
        ...executable,
        async run(inputs, into) {
          const begun = performance.now();
          const outputs = await executable.run(inputs, into);
          spent[kind] += performance.now() - begun;
          return outputs;
        },
      };
    },
  };
  /** What was spent since the last call. */
  const take = () => {
    const taken = spent;
    spent = { prefill: 0, decode: 0 };
    return taken;
  };
  return { engine, take };
}

const logits = Float32Array.from({ length: small.vocabSize }, (_, token) => Math.sin(token));

/** Draws as many tokens as a run of a generator. */
function drawAll(): void {
  const draws = PROMPTS * NEW_TOKENS;
  for (let draw = 0; draw < draws; draw++) sampleToken(logits, SAMPLING, draw / draws);
}
