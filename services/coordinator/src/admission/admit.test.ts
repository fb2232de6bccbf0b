import { baseBytes, newModelConfig, trainByteLevelBpe, trainedModel } from '@rlhf-streams/model';
import { namedModels, parseRunConfig, type RunConfig, sourceText } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { admitLengths, admitModels, scorerThatFits } from './admit.js';
import type { FoundModel } from './found.js';
import { type Machine, memoryOf, SMALLEST } from './memory.js';
import type { Lengths } from './rules.js';

const text = ['a fine film of the best kind', 'the best film of the kind'];
const tokenizerOf = (vocabSize: number) => ({ ...trainByteLevelBpe(text, { vocabSize }), vocabSize });
const tokenizers = { 270: tokenizerOf(270), 265: tokenizerOf(265) };

type Kind = FoundModel['kind'];
interface Of {
  readonly tokens?: keyof typeof tokenizers | 'none';
  readonly vocabSize?: number;
  readonly contextLength?: number;
  readonly what?: string;
  /** The rank of its adapter on the base of `run:sft`. */
  readonly adapter?: number;
}
type Description = readonly [kind: Kind, of?: Of];

/** What lies under each name that the configurations below use. */
const things: Readonly<Record<string, Description>> = {
  'run:sft': ['language model', { what: 'run sft trained a policy' }],
  'run:rm': ['reward model', { what: 'run rm trained a reward model' }],
  'run:lora': ['language model', { adapter: 4 }],
  'run:lora-rm': ['reward model', { adapter: 4 }],
  './classes': ['classifier', { what: 'it holds a classifier of 3 labels' }],
  './small': ['language model', { tokens: 265 }],
  './small-rm': ['reward model', { tokens: 265 }],
  './padded': ['language model', { vocabSize: 300 }],
  './padded-rm': ['reward model', { vocabSize: 300 }],
  './cut': ['language model', { vocabSize: 100 }],
  './mute': ['language model', { tokens: 'none' }],
  './mute-rm': ['reward model', { tokens: 'none' }],
  './short': ['language model', { contextLength: 16 }],
  './short-rm': ['reward model', { contextLength: 16 }],
  'gold:d': ['gold reward', { what: 'gold:d is a gold reward' }],
};

function found(config: RunConfig): FoundModel[] {
  return namedModels(config).map((model): FoundModel => {
    const { source } = model;
    if (source.from === 'new') {
      const shape = newModelConfig(source.shape);
      return { ...model, kind: 'language model', what: 'new', isNew: true, shape };
    }
    const [kind, { tokens = 270, vocabSize, contextLength = 64, what = `it holds a ${kind}`, adapter } = {}] =
      things[sourceText(source)]!;
    if (kind === 'gold reward') return { ...model, kind, what, isNew: true };
    const tokenizer = tokens === 'none' ? undefined : tokenizers[tokens];
    const shape = newModelConfig({
      architecture: 'gpt2',
      layers: 1,
      width: 32,
      heads: 2,
      contextLength,
      vocabSize: vocabSize ?? tokenizer?.vocabSize ?? 270,
    });
    const head =
      kind === 'language model'
        ? undefined
        : { head: { kind: 'scalar' as const, labels: kind === 'reward model' ? 1 : 3 } };
    return {
      ...model,
      kind,
      what,
      isNew: false,
      shape:
        adapter === undefined
          ? { ...shape, ...head }
          : trainedModel(shape, {
              head: head?.head.kind ?? 'language',
              peft: { r: adapter },
              isPublished: true,
            }),
      base: adapter === undefined ? sourceText(source) : 'run:sft',
      ...(tokenizer && { tokenizer }),
    };
  });
}

const MACHINE: Machine = {
  limitBytes: 8e9,
  services: ['policy', 'reward', 'reference', 'optimizer', 'coordinator', 'gateway'],
  policyThreads: 2,
  scoringThreads: 1,
  policySlots: 32,
  optimizerWorkers: 2,
};

const configOf = (run: object): RunConfig =>
  parseRunConfig({
    run: 'r',
    steps: 1,
    ...(['ppo', 'sample'].includes((run as RunConfig).method) ? { prompts: 'd' } : { data: 'd' }),
    ...run,
  });
const ppo = (run: object) => ({ method: 'ppo', model: 'run:sft', scorers: ['gold:d'], ...run });

describe('a run is started', () => {
  it.each<[what: string, run: object]>([
    ['that trains a policy', { method: 'sft', model: 'run:sft' }],
    ['that makes a new model', { method: 'sft', model: { layers: 1, width: 32, heads: 2 } }],
    [
      'that makes a new llama',
      { method: 'sft', model: { architecture: 'llama', width: 32, heads: 4, kvHeads: 2 } },
    ],
    ['that trains a reward model on a policy', { method: 'reward', model: 'run:sft' }],
    ['that trains a reward model further', { method: 'reward', model: 'run:rm' }],
    ['with a reward model as scorer', ppo({ scorers: ['run:rm'] })],
    ['with a scorer of another tokenizer', ppo({ scorers: ['./small-rm', 'gold:d'] })],
    ['that trains an adapter', { method: 'sft', model: 'run:sft', peft: { r: 8 } }],
    ['that trains an adapter further', { method: 'dpo', model: 'run:lora', peft: {} }],
    [
      'with adapters in all of its roles',
      ppo({ model: 'run:lora', scorers: ['run:lora-rm'], peft: { r: 4 } }),
    ],
    ['with another adapter as value model', ppo({ model: 'run:lora', value: 'run:lora-rm', peft: {} })],
    ['with all weights of a value model that is an adapter', ppo({ value: 'run:lora-rm' })],
    ['whose reference and scorer are adapters', ppo({ reference: 'run:lora', scorers: ['run:lora-rm'] })],
    ['with a policy as value model', ppo({ value: 'run:sft' })],
    ['with a reward model as value model', ppo({ value: 'run:rm' })],
    ['with more embeddings than tokens', { method: 'sft', model: './padded' }],
    ['with a reference that has more embeddings', ppo({ reference: './padded' })],
    ['with a scorer of a shorter context', ppo({ scorers: ['./short-rm'] })],
    ['with a new reference, whose tokenizer is not trained yet', ppo({ reference: { width: 32, heads: 2 } })],
  ])('%s', (_, run) => {
    const config = configOf(run);
    expect(() => admitModels(config, found(config), MACHINE)).not.toThrow();
  });
});

describe('a run is refused', () => {
  const policy = 'expected a policy, which is a language model';
  const scorer = 'expected a reward model or gold:DATA';
  it.each<[run: object, message: string]>([
    ...['sft', 'dpo', 'sample'].map((method): [object, string] => [
      { method, model: 'run:rm' },
      `model: run:rm: run rm trained a reward model; ${policy}`,
    ]),
    [ppo({ model: 'run:rm' }), `model: run:rm: run rm trained a reward model; ${policy}`],
    [{ method: 'sft', model: './classes' }, `model: ./classes: it holds a classifier of 3 labels; ${policy}`],
    [{ method: 'sft', model: 'gold:d' }, `model: gold:d: gold:d is a gold reward; ${policy}`],
    [
      { method: 'reward', model: './classes' },
      'model: ./classes: it holds a classifier of 3 labels; expected a language model, or a reward model to train on',
    ],
    [ppo({ scorers: ['run:sft'] }), `scorers[0]: run:sft: run sft trained a policy; ${scorer}`],
    [
      ppo({ scorers: ['gold:d', './classes'] }),
      `scorers[1]: ./classes: it holds a classifier of 3 labels; ${scorer}`,
    ],
    [
      ppo({ reference: 'run:rm', value: 'gold:d' }),
      'reference: run:rm: run rm trained a reward model; expected a language model\nvalue: gold:d: gold:d is a gold reward; expected a language model or a reward model',
    ],
    [
      { method: 'dpo', model: 'run:sft', reference: './small' },
      'reference: ./small: expected the tokenizer of model: run:sft, got another: 265 tokens and 270',
    ],
    [
      ppo({ value: './small-rm' }),
      'value: ./small-rm: expected the tokenizer of model: run:sft, got another: 265 tokens and 270',
    ],
    [
      ppo({ model: './padded', reference: 'run:sft' }),
      'reference: run:sft: expected a vocab_size of at least 300, that of model: ./padded, got 270',
    ],
    [
      { method: 'sft', model: './cut' },
      'model: ./cut: its tokenizer has 270 tokens, its vocab_size is 100; expected every token to be below vocab_size',
    ],
    [{ method: 'sft', model: './mute' }, 'model: ./mute: expected it to have a tokenizer.json, got none'],
    [
      ppo({ reference: './mute', scorers: ['./mute-rm'] }),
      'reference: ./mute: expected it to have a tokenizer.json, got none\nscorers[0]: ./mute-rm: expected it to have a tokenizer.json, got none',
    ],
    [
      ppo({ value: './short' }),
      'value: ./short: expected a context of at least 64 tokens, that of model: run:sft, got 16',
    ],
    [
      { method: 'reward', model: 'run:lora', peft: { r: 2 } },
      'model: run:lora: peft: expected that of the adapter which training goes on with (r 4, alpha 8, on 4 modules: c_attn, c_proj, c_fc), got r 2, alpha 8, on 4 modules: c_attn, c_proj, c_fc: leave it as it was, with peft: {}; for another adapter, merge it into its base with `rlhf-streams export --merge`, and start from that',
    ],
    [
      { method: 'sft', model: 'run:sft', peft: { targetModules: ['q_proj'] } },
      'model: run:sft: peft: expected targetModules to name linear maps of the model, which are c_attn, c_proj, c_fc; got "q_proj", which matches none',
    ],
    [
      { method: 'sft', model: { layers: 1e9 }, peft: {} },
      'model: { layers: 1000000000, width: 128, heads: 4, contextLength: 64, vocabSize: 512 }: expected a model that was trained, as peft leaves its weights as they are, got a new one: train it without peft first',
    ],
    [
      { method: 'sft', model: 'run:lora' },
      'model: run:lora: expected peft, as the model is an adapter (r 4, alpha 8, on 4 modules: c_attn, c_proj, c_fc): peft: {} trains it further; to train all weights, merge it into its base with `rlhf-streams export --merge`, and start from that',
    ],
    [
      { method: 'sft', model: { width: 32, heads: 3 } },
      'model: expected heads to divide the width of 32, got 3',
    ],
    [
      { method: 'sft', model: { architecture: 'llama', width: 32, heads: 4, kvHeads: 3 } },
      'model: expected kvHeads to divide the 4 heads, got 3',
    ],
    [
      { method: 'sft', model: { architecture: 'llama', width: 30, heads: 2 } },
      'model: expected heads of an even width, whose halves a llama turns, got 15',
    ],
    [
      { method: 'sft', model: { width: 32, heads: 4, kvHeads: 2 } },
      "model: expected no kvHeads, for the heads of a gpt2 share no keys and values, got 2; a llama's do",
    ],
  ])('%j', (run, message) => {
    const config = configOf(run);
    expect(() => admitModels(config, found(config), MACHINE)).toThrow(
      expect.objectContaining({ code: 'RUN_MODEL_UNFIT', message }),
    );
  });
});

describe('the lengths of its data', () => {
  const admitted = (run: object, lengths: Partial<Lengths>, machine = MACHINE) => {
    const config = configOf(run);
    const all = { longest: 2, mostSequences: 1, shortestPrompt: {}, ...lengths };
    return () => admitLengths(config, found(config), all, machine);
  };
  const shortestPrompt = { 'scorer.0': 4 };

  it('must fit the context of a reference', () => {
    const run = ppo({ reference: './short' });
    expect(admitted(run, { longest: 16, shortestPrompt })).not.toThrow();
    expect(admitted(run, { longest: 17, shortestPrompt })).toThrow(
      /^reference: \.\/short: expected a context of at least 17 tokens, .* got 16/,
    );
  });

  it('must leave a scorer a completion of the shortest prompt at least', () => {
    const run = ppo({ scorers: ['./short-rm'] });
    expect(admitted(run, { longest: 64, shortestPrompt: { 'scorer.0': 15 } })).not.toThrow();
    expect(admitted(run, { longest: 64, shortestPrompt: { 'scorer.0': 16 } })).toThrow(
      /^scorers\[0\]: \.\/short-rm: expected a context that holds a prompt and a completion, got 16 tokens/,
    );
  });

  it('count for memory', () => {
    const run = { method: 'sft', model: 'run:sft', microBatchSize: 16 };
    const machine = { ...MACHINE, limitBytes: 250e6 };
    expect(admitted(run, { longest: 4, shortestPrompt: {} }, machine)).not.toThrow();
    expect(admitted(run, { longest: 64, shortestPrompt: {} }, { ...machine, limitBytes: 200e6 })).toThrow(
      expect.objectContaining({ code: 'RUN_MEMORY' }),
    );
  });

  it('count for memory with the completions of a comparison, which are computed together', () => {
    const run = { method: 'reward', model: 'run:sft', microBatchSize: 2 };
    const machine = { ...MACHINE, limitBytes: 250e6 };
    const lengths = { longest: 64, mostSequences: 2 };
    expect(admitted(run, lengths, machine)).not.toThrow();
    expect(admitted(run, { ...lengths, mostSequences: 1024 }, machine)).toThrow(
      expect.objectContaining({ code: 'RUN_MEMORY' }),
    );
  });
});

describe('memory', () => {
  const huge = { layers: 48, width: 4096, heads: 32, contextLength: 64, vocabSize: 512 };

  it('must hold what the services of this process need together', () => {
    const config = configOf({ method: 'sft', model: huge });
    expect(() => admitModels(config, found(config), MACHINE)).toThrow(
      expect.objectContaining({
        code: 'RUN_MEMORY',
        message: expect.stringMatching(
          /^model: \{ layers: 48, width: 4096, .*\}: a model of 9\.7e\+9 parameters; .* about 813 GB of memory \(coordinator 38\.7 GB, optimizer 813 GB\), expected at most 8 GB: .*RLHF_MEMORY_LIMIT_BYTES/,
        ),
      }),
    );
    expect(() => admitModels(config, found(config), { ...MACHINE, limitBytes: 1e12 })).not.toThrow();
  });

  it('of a base counts once, whichever services use it', () => {
    const config = configOf(ppo({ model: 'run:lora', scorers: ['run:lora-rm'], value: 'shared', peft: {} }));
    const models = found(config);
    const { neededBytes: shared } = memoryOf(config, models, SMALLEST, MACHINE);
    const apart = models.map((model, index) => ({ ...model, base: `${index}` }));
    const { neededBytes } = memoryOf(config, apart, SMALLEST, MACHINE);
    // The policy, which is the reference too, and the scorer.
    expect(neededBytes - shared).toBe(baseBytes(models[0]!.shape!));
  });

  it('of other processes is their own to know', () => {
    const config = configOf({ method: 'sft', model: huge });
    const alone = { ...MACHINE, services: ['coordinator'], limitBytes: 40e9 };
    expect(() => admitModels(config, found(config), alone)).not.toThrow();
    expect(() => admitModels(config, found(config), { ...alone, limitBytes: 38e9 })).toThrow(/38\.8 GB/);
  });

  it.each([
    { layers: 1e9 },
    { width: 2 ** 40, heads: 2 },
    { contextLength: 2 ** 50 },
    { vocabSize: 2 ** 50 },
  ])('is counted, not tried, for %j', (shape) => {
    const config = configOf({ method: 'sft', model: shape });
    expect(() => admitModels(config, found(config), MACHINE)).toThrow(
      expect.objectContaining({ code: 'RUN_MEMORY' }),
    );
  });
});

describe('the scorer that a value model may start from', () => {
  it.each<[scorers: string[], start: string | undefined]>([
    [['run:rm'], 'run:rm'],
    [['run:rm', 'gold:d'], 'run:rm'],
    [['gold:d', 'run:rm'], undefined],
    [['./small-rm'], undefined],
    [['./short-rm'], undefined],
    [['./padded-rm'], './padded-rm'],
  ])('is among %j %s', (scorers, start) => {
    const scorer = scorerThatFits(found(configOf(ppo({ scorers }))));
    expect(scorer && sourceText(scorer.source)).toBe(start);
  });
});
