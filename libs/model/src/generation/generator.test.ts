import { cpuEngine, type Engine, onnxEngine } from '@rlhf-streams/tensor';
import { describe, expect, it, vi } from 'vitest';
import { parseModelConfig } from '../architectures/index.js';
import { keyFor } from '../sampling/rollout-draws.js';
import { logprobScorer } from '../scoring.js';
import { initialiseWeights } from '../weights.js';
import { createGenerator } from './generator.js';
import type { Completion, GenerationRequest, Weights } from './request.js';

const config = parseModelConfig({
  model_type: 'gpt2',
  vocab_size: 97,
  n_positions: 48,
  n_embd: 32,
  n_layer: 2,
  n_head: 4,
  n_inner: 64,
});
/** Heads share keys and values, and see 12 tokens, fewer than most texts have. */
const windowed = parseModelConfig({
  model_type: 'mistral',
  vocab_size: 97,
  max_position_embeddings: 48,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 12,
  intermediate_size: 48,
  sliding_window: 12,
  eos_token_id: null,
});
const weightsOf = (seed: number, of = config): Weights => ({
  version: `v${seed}`,
  // Larger than at the start of training, so that the tokens depend on the weights and on what came before.
  parameters: Object.fromEntries(
    [...initialiseWeights(of, seed)].map(([name, { data }]) => [name, data.map((x) => x * 4)]),
  ),
});
const weights = weightsOf(1);

const request = (id: number, more: Partial<GenerationRequest> = {}): GenerationRequest => ({
  weights,
  promptTokens: Array.from({ length: 1 + ((id * 5) % 21) }, (_, i) => (id * 31 + i * 7) % 97),
  sampling: { temperature: 0.9, topK: id % 2 ? 40 : 0, topP: id % 3 ? 0.95 : 1 },
  maxNewTokens: 3 + (id % 17),
  stopTokens: [0, 1, 2],
  key: keyFor(7, `run/0/${id}/0`),
  ...more,
});
const ids = Array.from({ length: 24 }, (_, id) => id);

/** An engine whose state is said to be on a device: its programs draw the tokens. */
const onDevice = (engine: Engine): Engine => ({ ...engine, place: 'device' });

/** The same completion; programs round in another order where they have more rows. */
const sameNumbers = (completion: Completion | undefined, expected: Completion | undefined, of?: string) => {
  const { logprobs, ...rest } = completion!;
  expect(rest, of).toEqual({ tokens: expected!.tokens, finishReason: expected!.finishReason });
  expect(logprobs.length).toBe(expected!.logprobs.length);
  for (const [i, logprob] of logprobs.entries())
    expect(Math.abs(logprob - expected!.logprobs[i]!)).toBeLessThan(1e-5);
};
const sameBits = (completion: Completion | undefined, expected: Completion | undefined, of?: string) =>
  expect(completion, of).toEqual(expected);

const places = {
  'drawn by the host': { engine: () => onnxEngine(), expectSame: sameBits },
  'drawn by programs': { engine: () => onDevice(onnxEngine()), expectSame: sameNumbers },
} as const;

describe.each(
  (['drawn by the host', 'drawn by programs'] as const).flatMap((drawn) => [
    ['GPT-2', drawn, config] as const,
    ['Mistral', drawn, windowed] as const,
  ]),
)('a generator of a %s, %s', (_, drawn, of) => {
  const { engine, expectSame } = places[drawn];
  const weights = weightsOf(1, of);
  const requestOf = (id: number, more: Partial<GenerationRequest> = {}) => request(id, { weights, ...more });
  const generateAll = async (slots: number, order: readonly number[]) => {
    const generator = createGenerator(engine(), of, { slots });
    const completions = await Promise.all(order.map((id) => generator.generate(requestOf(id))));
    return new Map(order.map((id, i) => [id, completions[i]!]));
  };

  it('gives a rollout the same tokens and log-probs in any batch and order', async () => {
    const expected = await generateAll(32, ids);
    expect(new Set([...expected.values()].map(({ finishReason }) => finishReason))).toEqual(
      new Set(['stop', 'length']),
    );
    for (const [slots, order] of [
      [1, ids],
      [2, ids.toReversed()],
      [7, ids.toSorted((a, b) => Math.sin(a) - Math.sin(b))],
      [32, ids.slice(5, 6)],
    ] as const) {
      for (const [id, completion] of await generateAll(slots, order)) {
        expectSame(completion, expected.get(id), `rollout ${id} with ${slots} slots`);
      }
    }
  });

  it('samples several completions of a prompt as if each were alone, at any temperature', async () => {
    const samples = Array.from({ length: 12 }, (_, sample) =>
      requestOf(3, {
        key: keyFor(7, `run/0/3/${sample}`),
        sampling: { temperature: [0.9, 0.5, 0, 1e-300][sample % 4]! },
        maxNewTokens: 12,
        stopTokens: [],
      }),
    );
    const generator = createGenerator(engine(), of, { slots: 16 });
    const together = await Promise.all(samples.map((sample) => generator.generate(sample)));
    const alone = createGenerator(engine(), of, { slots: 2 });
    for (const [i, sample] of samples.entries()) expectSame(together[i], await alone.generate(sample));
    const at = (index: number) =>
      together.filter((_, sample) => sample % 4 === index).map(({ tokens }) => tokens);
    expect(new Set(at(0).map(String)).size).toBe(3);
    expect(new Set([...at(2), ...at(3)].map(String)).size).toBe(1);
  });

  it('gives the log-probs that scoring finds for the same tokens', async () => {
    const generator = createGenerator(engine(), of, { slots: 8 });
    for (const temperature of [0.7, 1.3]) {
      const requests = ids.slice(0, 8).map((id) => requestOf(id, { sampling: { temperature, topK: 5 } }));
      const completions = await Promise.all(requests.map((each) => generator.generate(each)));
      const items = completions.map(({ tokens }, i) => ({
        tokens: [...requests[i]!.promptTokens, ...tokens],
        temperature,
      }));
      const frozen = { hash: weights.version, values: weights.parameters };
      const scored = await logprobScorer(onnxEngine(), of, frozen).score(items);
      for (const [i, { logprobs }] of completions.entries()) {
        const again = scored[i]!.subarray(requests[i]!.promptTokens.length - 1);
        expect(again.length).toBe(logprobs.length);
        for (const [j, logprob] of logprobs.entries())
          expect(Math.abs(again[j]! - logprob)).toBeLessThan(1e-5);
      }
    }
  });

  it('generates the same tokens by the plain programs of the cpu engine', async () => {
    const [plain, fast] = await Promise.all(
      [onDevice(cpuEngine()), engine()].map((engine) => {
        const generator = createGenerator(engine, of, { slots: 3 });
        return Promise.all(
          [3, 3, 8].map((id, sample) =>
            generator.generate(
              requestOf(id, { maxNewTokens: 4, stopTokens: [], key: keyFor(7, `${sample}`) }),
            ),
          ),
        );
      }),
    );
    expect(plain!.map(({ tokens }) => tokens)).toEqual(fast!.map(({ tokens }) => tokens));
  });
});

describe.each(['drawn by the host', 'drawn by programs'] as const)('a generator, %s', (drawn) => {
  const { engine, expectSame } = places[drawn];

  it('finishes on a stop token, at maxNewTokens, and at the end of the context', async () => {
    const generator = createGenerator(engine(), config, { slots: 4 });
    const all = Array.from({ length: 97 }, (_, token) => token);
    const stopped = await generator.generate(request(1, { stopTokens: all }));
    expect(stopped).toMatchObject({ finishReason: 'stop', tokens: { length: 1 } });
    const limited = await generator.generate(request(1, { stopTokens: [], maxNewTokens: 5 }));
    expect(limited).toMatchObject({ finishReason: 'length', tokens: { length: 5 } });
    const long = await generator.generate(
      request(1, { stopTokens: [], maxNewTokens: 1000, promptTokens: Array(40).fill(3) }),
    );
    expect(long).toMatchObject({ finishReason: 'length', tokens: { length: 8 } });
  });

  it('generates each rollout by one version of the weights, however requests mix', async () => {
    const generator = createGenerator(engine(), config, { slots: 4 });
    const versions = [weights, weightsOf(2)];
    const mixed = await Promise.all(
      ids.slice(0, 10).map((id) => generator.generate(request(id, { weights: versions[id % 2]! }))),
    );
    for (const version of [0, 1]) {
      const alone = createGenerator(engine(), config, { slots: 4 });
      for (const id of ids.slice(0, 10).filter((id) => id % 2 === version)) {
        expectSame(mixed[id], await alone.generate(request(id, { weights: versions[version]! })));
      }
    }
  });

  it('refuses what it cannot generate, and goes on', async () => {
    const generator = createGenerator(engine(), config, { slots: 2 });
    for (const bad of [
      { promptTokens: [] },
      { promptTokens: [97] },
      { promptTokens: Array(48).fill(1) },
      { maxNewTokens: 0 },
    ]) {
      await expect(generator.generate(request(1, bad))).rejects.toMatchObject({
        code: 'MODEL_GENERATION_REQUEST',
      });
    }
    await expect(
      generator.generate(request(1, { timeoutMs: 0, stopTokens: [], maxNewTokens: 40 })),
    ).rejects.toMatchObject({
      code: 'MODEL_GENERATION_TIMEOUT',
    });
    const diverged = {
      version: 'nan',
      parameters: { ...weights.parameters, 'ln_f.weight': new Float32Array(32).fill(Number.NaN) },
    };
    await expect(generator.generate(request(1, { weights: diverged }))).rejects.toMatchObject({
      code: 'MODEL_LOGITS_NOT_FINITE',
    });
    expect((await generator.generate(request(1))).tokens.length).toBeGreaterThan(0);
    expect(generator.pending).toBe(0);
  });

  it('generates as before in the slots of what was not finite', async () => {
    const generator = createGenerator(engine(), config, { slots: 2 });
    const short = { promptTokens: [5], maxNewTokens: 40 };
    const before = await generator.generate(request(1, short));
    const diverged = {
      version: 'nan',
      parameters: { ...weights.parameters, 'wpe.weight': new Float32Array(48 * 32).fill(Number.NaN) },
    };
    const long = { promptTokens: Array(30).fill(3), maxNewTokens: 11 };
    const failing = [0, 1].map((id) => generator.generate(request(id, { ...long, weights: diverged })));
    const after = generator.generate(request(1, short));
    for (const each of failing) await expect(each).rejects.toMatchObject({ code: 'MODEL_LOGITS_NOT_FINITE' });
    expectSame(await after, before);
  });

  it('tells of each token as it comes, with its logits, and ends where it is told to', async () => {
    const generator = createGenerator(engine(), config, { slots: 4 });
    const greedy = { sampling: { temperature: 0 }, maxNewTokens: 9, stopTokens: [] };
    const whole = await generator.generate(request(3, greedy));
    const told: number[] = [];
    const ended = await generator.generate(
      request(3, {
        ...greedy,
        logits: true,
        onToken: (token, logits) => {
          expect(logits!.indexOf(Math.max(...logits!))).toBe(token);
          return told.push(token) === 4;
        },
      }),
    );
    expect(told).toEqual(whole.tokens.slice(0, 4));
    expect(ended).toEqual({ tokens: told, logprobs: whole.logprobs.slice(0, 4), finishReason: 'stop' });

    const stopToken = whole.tokens[4]!;
    const before: number[] = [];
    const onToken = (token: number) => before.push(token) === 0;
    await generator.generate(request(3, { ...greedy, stopTokens: [stopToken], onToken }));
    expect(before).toEqual(whole.tokens.slice(0, whole.tokens.indexOf(stopToken)));
  });

  it('takes given tokens as they are, and tells their log-probs', async () => {
    const generator = createGenerator(engine(), config, { slots: 4 });
    const drawn = { sampling: { temperature: 0.9 }, maxNewTokens: 12, stopTokens: [] };
    const whole = await generator.generate(request(3, drawn));
    const given = whole.tokens.slice(0, 7);
    const again = await generator.generate(request(3, { ...drawn, given }));
    expect(again.tokens).toEqual(whole.tokens);
    for (const [i, logprob] of again.logprobs.entries()) expect(logprob).toBeCloseTo(whole.logprobs[i]!, 6);
    const others = await generator.generate(request(3, { ...drawn, given: given.toReversed() }));
    expect(others.tokens.slice(0, 7)).toEqual(given.toReversed());
    expect(others.logprobs).not.toEqual(whole.logprobs);
    await expect(generator.generate(request(3, { ...drawn, given: [97] }))).rejects.toMatchObject({
      code: 'MODEL_GENERATION_REQUEST',
    });
  });

  it('lets go of what nobody waits for, under way or waiting, and of nothing else', async () => {
    const generator = createGenerator(engine(), config, { slots: 2 });
    const left = new AbortController();
    const gone = new Error('gone');
    const long = { maxNewTokens: 40, stopTokens: [], promptTokens: [5] };
    let told = 0;
    const onToken = () => {
      if (++told === 3) left.abort(gone);
      return false;
    };
    // Three requests share two slots: one waits.
    const requests = [0, 1, 2].map((id) => request(id, { ...long, signal: left.signal, onToken }));
    const aborted = requests.map((each) => generator.generate(each));
    const kept = generator.generate(request(4, long));
    for (const each of aborted) await expect(each).rejects.toBe(gone);
    expect(told).toBeLessThan(6);
    const alone = createGenerator(engine(), config, { slots: 2 });
    expectSame(await kept, await alone.generate(request(4, long)));
    expect(generator.pending).toBe(0);
  });
});

describe('a generator', () => {
  it('keeps the workspaces of few capacities, and generates the same when one is opened again', async () => {
    const inner = cpuEngine();
    let open = 0;
    const engine: Engine = {
      ...inner,
      async open(...asked) {
        const workspace = await inner.open(...asked);
        open++;
        return { ...workspace, dispose: () => workspace.dispose().then(() => void open--) };
      },
    };
    const generator = createGenerator(engine, config, { slots: 2 });
    const of = (length: number) =>
      generator.generate(
        request(1, { promptTokens: Array(length).fill(3), maxNewTokens: 2, stopTokens: [] }),
      );
    const first = await of(5);
    await Promise.all([of(20), of(40)]);
    expect(await of(5)).toEqual(first);
    await vi.waitFor(() => expect(open).toBe(2));
    generator.close();
    await vi.waitFor(() => expect(open).toBe(0));
  });

  it('rejects what is pending when it closes', async () => {
    const generator = createGenerator(onnxEngine(), config, { slots: 1 });
    const pending = [generator.generate(request(1)), generator.generate(request(2))];
    generator.close();
    for (const promise of pending)
      await expect(promise).rejects.toMatchObject({ code: 'MODEL_GENERATION_CLOSED' });
  });
});
