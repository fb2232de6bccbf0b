import { describe, expect, it } from 'vitest';
import { RunError } from './errors.js';
import { methodNames, methods } from './methods/index.js';
import { parseRunConfig, runConfigMistakes, runsBuiltOn, settingsByMethod } from './run-config.js';
import { trainingSteps } from './steps.js';

const least = {
  sft: { run: 'r', method: 'sft', steps: 5, model: 'm', data: 'd' },
  reward: { run: 'r', method: 'reward', steps: 5, model: 'm', data: 'd' },
  ppo: { run: 'r', method: 'ppo', steps: 5, model: 'm', prompts: 'd', scorers: ['run:reward'] },
  dpo: { run: 'r', method: 'dpo', steps: 5, model: 'm', data: 'd' },
  sample: { run: 'r', method: 'sample', steps: 5, model: 'm', prompts: 'd' },
} as const;
/** What `scorers` lists, in the words of errors. */
const scorerEntry =
  'run:ID, gold:DATA, artifact:SHA256, adapter:FOLDER on BASE, declared:NAME or a folder, or settings of its own (scorer, ensemble, rule, weight, name)';
type Name = keyof typeof least;
const names = Object.keys(least) as Name[];

describe('defaults', () => {
  const adamw = {
    schedule: 'linear',
    warmupSteps: 0,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weightDecay: 0,
    maxGradNorm: 1,
  };

  it.each([
    ['sft', { optimizer: { ...adamw, learningRate: 2e-5 }, sft: { maxLength: 1024, assistantOnly: false } }],
    [
      'reward',
      {
        optimizer: { ...adamw, learningRate: 1e-4 },
        reward: { maxLength: 1024, objective: 'pairs', centerRewardsCoefficient: 0 },
      },
    ],
    [
      'dpo',
      {
        optimizer: { ...adamw, learningRate: 1e-6 },
        dpo: {
          beta: 0.1,
          lossType: 'sigmoid',
          labelSmoothing: 0,
          alpha: 0,
          simpoGamma: 0.5,
          pairs: 'all',
          maxLength: 1024,
        },
      },
    ],
    [
      'ppo',
      {
        optimizer: { ...adamw, learningRate: 3e-6 },
        sampling: { temperature: 0.7, topK: 0, topP: 1, maxNewTokens: 53 },
        samplesPerPrompt: 1,
        maxStaleness: 0,
        ppo: {
          numPpoEpochs: 4,
          numMiniBatches: 1,
          klCoef: 0.05,
          klEstimator: 'k1',
          objective: 'clip',
          penalty: { beta: 1, target: 0.01 },
          entropyCoef: 0,
          cliprange: 0.2,
          cliprangeValue: 0.2,
          vfCoef: 0.1,
          gamma: 1,
          lam: 0.95,
          whitenRewards: false,
          missingEosPenalty: 0,
          scoreNormalisation: 'none',
        },
      },
    ],
  ] as const)("of %s are TRL's", (name, expected) => {
    const config = parseRunConfig(least[name]);
    for (const [group, values] of Object.entries(expected))
      expect(config[group as keyof typeof config]).toEqual(values);
  });

  it('of the adaptive KL coefficient hold where it is asked for', () => {
    expect(parseRunConfig({ ...least.ppo, ppo: { adaptiveKl: {} } })).toMatchObject({
      ppo: { adaptiveKl: { target: 6, horizon: 10_000 } },
    });
  });

  it('of importance sampling hold where it is asked for', () => {
    expect(parseRunConfig({ ...least.ppo, ppo: { importanceSampling: {} } })).toMatchObject({
      ppo: { importanceSampling: { mode: 'token_truncate', cap: 2 } },
    });
  });

  it('of a new model make a small one', () => {
    const model = {
      architecture: 'gpt2',
      layers: 4,
      width: 128,
      heads: 4,
      contextLength: 64,
      vocabSize: 512,
    };
    expect(parseRunConfig({ ...least.sft, model: {} }).model).toEqual(model);
    const llama = { architecture: 'llama', kvHeads: 2, mlpWidth: 352 };
    expect(parseRunConfig({ ...least.sft, model: llama }).model).toEqual({ ...model, ...llama });
  });
});

describe('a configuration', () => {
  it.each(names)('of %s comes back from JSON as it was, with its defaults said', (name) => {
    const config = parseRunConfig(least[name]);
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(parseRunConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each(names)('of %s keeps what it was given', (name) => {
    expect(parseRunConfig(least[name])).toMatchObject(least[name]);
  });
});

describe('a mistake', () => {
  const errorOf = (json: unknown): RunError => {
    try {
      parseRunConfig(json);
    } catch (error) {
      if (error instanceof RunError) return error;
      throw error;
    }
    throw new Error('expected a RunError, got none');
  };
  const said = (json: unknown): string[] => {
    const { code, message } = errorOf(json);
    expect(code).toBe('TRAINING_CONFIG_INVALID');
    const [title, ...lines] = message.split('\n');
    expect(title).toBe("not a run's configuration:");
    return lines.map((line) => line.trim());
  };

  it.each<[string, unknown, string]>([
    [
      'run: of no run id',
      { ...least.sft, model: 'run:../../x' },
      "model: expected run:ID, where an ID is 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit, got 'run:../../x'",
    ],
    [
      'run: of nothing',
      { ...least.sft, data: 'run:' },
      "data: expected run:ID, where an ID is 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit, got 'run:'",
    ],
    [
      'a scorer of no run id',
      { ...least.ppo, scorers: ['run:A B'] },
      "scorers[0]: expected run:ID, where an ID is 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit, got 'run:A B'",
    ],
    ['a missing key', { ...least.sft, steps: undefined }, 'steps: expected steps or epochs, got neither'],
    ['a wrong type', { ...least.sft, steps: '5' }, "steps: expected integer from 1 to 1000000, got '5'"],
    ['a fraction', { ...least.sft, batchSize: 1.5 }, 'batchSize: expected integer from 1 to 65536, got 1.5'],
    ['too small', { ...least.sft, steps: 0 }, 'steps: expected integer from 1 to 1000000, got 0'],
    [
      'too large',
      { ...least.sft, seed: 2 ** 60 },
      'seed: expected integer of at least 0, at most 9007199254740991, got 1152921504606847000',
    ],
    ['null', { ...least.sft, steps: null }, 'steps: expected integer from 1 to 1000000, got null'],
    [
      'an empty list',
      { ...least.ppo, scorers: [] },
      `scorers: expected list of at least 1: ${scorerEntry}, got []`,
    ],
    [
      'an item of a list',
      { ...least.ppo, scorers: ['run:reward', 5] },
      `scorers[1]: expected ${scorerEntry}, got 5`,
    ],
    [
      'no collection',
      { ...least.dpo, data: 'feedback:a b' },
      "data: expected feedback:COLLECTION, where a collection is 1-100 characters of A-Z a-z 0-9 . _ -, got 'feedback:a b'",
    ],
    [
      'an unknown word',
      { ...least.dpo, dpo: { lossType: 'exotic' } },
      "dpo.lossType: expected one of sigmoid, sigmoid_norm, ipo, hinge, robust, simpo, got 'exotic'",
    ],
    [
      'a word that is near',
      { ...least.sft, optimizer: { schedule: 'constant-with-warmup' } },
      "optimizer.schedule: expected one of linear, cosine, constant, constant_with_warmup, got 'constant-with-warmup': did you mean constant_with_warmup?",
    ],
    [
      'a cap below on-policy weights',
      { ...least.ppo, ppo: { importanceSampling: { cap: 0.5 } } },
      'ppo.importanceSampling.cap: expected number from 1 to 1000000, got 0.5',
    ],
    [
      'no number at all',
      { ...least.ppo, ppo: { klCoef: Number.NaN } },
      'ppo.klCoef: expected number of at least 0, got NaN',
    ],
    [
      'a wrong run id',
      { ...least.sft, run: '../up' },
      "run: a run id is 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit, got '../up'",
    ],
    [
      'a new model that is too small',
      { ...least.sft, model: { vocabSize: 10 } },
      'model.vocabSize: expected integer of at least 300, got 10',
    ],
    [
      'a new model of the wrong type',
      { ...least.sft, model: { layers: '2' } },
      "model.layers: expected integer of at least 1, got '2'",
    ],
    [
      'no model',
      { ...least.sft, model: 5 },
      'model: expected run:ID, run:ID@VERSION, artifact:SHA256, adapter:FOLDER on BASE, a folder, or the shape of a new model: { layers, width, heads, contextLength, vocabSize }, got 5',
    ],
    [
      'an adapter without its base',
      { ...least.sft, model: 'adapter:./lora' },
      "model: expected adapter:FOLDER on BASE, where both are a folder or artifact:SHA256; run:ID alone is an adapter of a run with its base, got 'adapter:./lora'",
    ],
    [
      'a value for a group',
      { ...least.dpo, dpo: 0.1 },
      'dpo: expected settings of its own (beta, lossType, labelSmoothing, alpha, simpoGamma, pairs, maxLength), got 0.1',
    ],
    [
      'what is very long',
      { ...least.sft, steps: 'x'.repeat(500) },
      `steps: expected integer from 1 to 1000000, got '${'x'.repeat(59)}…`,
    ],
    ['nothing', null, "expected a run's settings by their names, got null"],
    ['a list', ['sft'], "expected a run's settings by their names, got [ 'sft' ]"],
  ])('%s is named by its path, with what was expected and what came', (_, json, line) => {
    expect(said(json)).toEqual([line]);
  });

  it.each<[string, unknown, string]>([
    ['an unknown one', { ...least.sft, method: 'rainbow' }, "got 'rainbow'"],
    ['a misspelt one', { ...least.sft, method: 'PPO' }, "got 'PPO': did you mean ppo?"],
    ['none', { run: 'r' }, 'got nothing'],
    ['what every object has', { ...least.sft, method: 'constructor' }, "got 'constructor'"],
    ['none, but a key like it', { Method: 'sft' }, 'got nothing: did you mean it by Method?'],
    ['what is no text', { ...least.sft, method: ['sft'] }, "got [ 'sft' ]"],
  ])('in the method names those there are: %s', (_, json, got) => {
    expect(said(json)).toEqual([`method: expected one of ${methodNames.join(', ')}, ${got}`]);
  });

  it.each<[string, unknown, string]>([
    [
      "TRL's spelling",
      { ...least.ppo, ppo: { kl_coef: 0.1 } },
      'ppo.kl_coef: no such setting; did you mean klCoef?',
    ],
    ['a typing error', { ...least.ppo, ppo: { gama: 1 } }, 'ppo.gama: no such setting; did you mean gamma?'],
    [
      "another name of transformers'",
      { ...least.sft, optimizer: { lr_scheduler_type: 'linear' } },
      'optimizer.lr_scheduler_type: no such setting; did you mean schedule?',
    ],
    [
      'what belongs within',
      { ...least.ppo, klCoef: 0.1 },
      'klCoef: no such setting; klCoef belongs in ppo, as ppo: { klCoef: ... }',
    ],
    [
      'what belongs deep within, written as a path',
      { ...least.ppo, 'ppo.adaptiveKl.target': 6 },
      '["ppo.adaptiveKl.target"]: no such setting; target belongs in ppo.adaptiveKl, as ppo: { adaptiveKl: { target: ... } }',
    ],
    [
      "another name of TRL's for what belongs within",
      { ...least.ppo, response_length: 53 },
      'response_length: no such setting; maxNewTokens belongs in sampling, as sampling: { maxNewTokens: ... }',
    ],
    [
      'what belongs at the top',
      { ...least.ppo, ppo: { seed: 1 } },
      'ppo.seed: no such setting; seed belongs at the top, beside method',
    ],
    [
      "another method's",
      { ...least.sft, dpo: {} },
      "dpo: no such setting; dpo is one of method dpo, this is 'sft'",
    ],
    [
      'what another method has within',
      { ...least.sft, label_smoothing: 0.1 },
      "label_smoothing: no such setting; dpo.labelSmoothing is one of method dpo, onlineDpo, this is 'sft'",
    ],
    [
      'the data of a run that samples',
      { ...least.ppo, data: 'd' },
      'data: no such setting; did you mean prompts?',
    ],
    [
      'a replay that trains nothing',
      { ...least.sample, replay: 'r' },
      `replay: no such setting; replay is one of method ${methodNames.filter((name) => methods[name].trains.length > 0).join(', ')}, this is 'sample'`,
    ],
    [
      'what nothing is like',
      { ...least.sft, sft: { packing: true } },
      'sft.packing: no such setting; there are maxLength, assistantOnly',
    ],
    [
      'in the shape of a model',
      { ...least.sft, model: { n_layer: 2, layers: 2 } },
      'model.n_layer: no such setting; did you mean layers?',
    ],
    [
      'in the shape of a model with other mistakes',
      { ...least.dpo, reference: { n_layer: '2' } },
      'reference.n_layer: no such setting; did you mean layers?',
    ],
  ])('in the name of a setting says what was meant: %s', (_, json, line) => {
    expect(said(json)).toEqual([line]);
  });

  it('in the name of what is required is told once', () => {
    const { model, ...rest } = least.sft;
    expect(said({ ...rest, modle: model })).toEqual(['modle: no such setting; did you mean model?']);
  });

  it('does not hide the others, and lists the settings there are once', () => {
    expect(said({ ...least.dpo, steps: -1, seed: 0.5, dpo: { beta: 0, foo: 1, bar: 2 } })).toEqual([
      'seed: expected integer of at least 0, got 0.5',
      'steps: expected integer from 1 to 1000000, got -1',
      'dpo.beta: expected number above 0, got 0',
      'dpo.foo: no such setting; there are beta, lossType, labelSmoothing, alpha, simpoGamma, pairs, maxLength',
      'dpo.bar: no such setting',
    ]);
  });

  it.each(names)('of writing any setting of %s in snake case is explained', (name) => {
    const wrong: Record<string, unknown> = {};
    const explained: string[] = [];
    for (const { path } of settingsByMethod()[name]) {
      const keys = path.split('.');
      const key = keys.pop()!;
      const snake = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      if (snake === key) continue;
      let at = wrong;
      for (const parent of keys) {
        const isList = parent.endsWith('[]');
        const field = isList ? parent.slice(0, -2) : parent;
        at[field] ??= isList ? [{}] : {};
        at = (isList ? (at[field] as object[])[0] : at[field]) as Record<string, unknown>;
      }
      at[snake] = 1;
      explained.push(
        `${[...keys, snake].join('.').replaceAll('[]', '[0]')}: no such setting; did you mean ${key}?`,
      );
    }
    const all = said({ ...least[name], ...wrong });
    for (const each of explained) expect(all).toContain(each);
  });

  it('is told the same to those who ask for a list', () => {
    expect(runConfigMistakes({ ...least.ppo, ppo: { kl_coef: 0.1 } })).toEqual([
      {
        path: ['ppo', 'kl_coef'],
        message: 'no such setting; did you mean klCoef?',
        code: 'unrecognized_keys',
      },
    ]);
    expect(runConfigMistakes(least.ppo)).toEqual([]);
  });

  it.each([
    [
      { ...least.sft, model: 'run:r' },
      "model: expected another run than this one, which has nothing yet, got 'run:r'",
    ],
    [
      { ...least.sample, prompts: 'run:r' },
      "prompts: expected another run than this one, which has nothing yet, got 'run:r'",
    ],
    [
      { ...least.ppo, scorers: ['run:a', 'run:r'] },
      "scorers[1]: expected another run than this one, which has nothing yet, got 'run:r'",
    ],
  ])('of building a run on itself is told: it would wait for its own end', (config, mistake) => {
    expect(said(config)).toEqual([mistake]);
  });
});

describe('the runs that a run is built on', () => {
  it('are those of its models and data, each once, or of a replay the one that it replays', () => {
    const config = {
      ...least.ppo,
      model: 'run:a',
      reference: 'run:a',
      prompts: 'run:b',
      scorers: ['run:c', 's'],
    };
    expect(runsBuiltOn(parseRunConfig(config)).sort()).toEqual(['a', 'b', 'c']);
    expect(runsBuiltOn(parseRunConfig({ ...least.sft, model: 'run:a', replay: 'q' }))).toEqual(['q']);
    expect(runsBuiltOn(parseRunConfig(least.dpo))).toEqual([]);
  });
});

describe('settings together', () => {
  const base = { run: 'r', method: 'sft', model: 'm', data: 'd' };
  const said = (change: object) =>
    runConfigMistakes({ ...base, ...change }).map(({ path, message }) => `${path.join('.')}: ${message}`);
  it('are steps or epochs', () => {
    expect(said({ steps: 3 })).toEqual([]);
    expect(said({ epochs: 0.5 })).toEqual([]);
    expect(said({})).toEqual(['steps: expected steps or epochs, got neither']);
    expect(said({ steps: 3, epochs: 2 })).toEqual([
      'epochs: expected steps or epochs, got both: steps: 3 and epochs: 2',
    ]);
  });
  it('hold items out for evaluations that are asked for', () => {
    expect(said({ steps: 3, evaluateEvery: 2, testFraction: 0.1 })).toEqual([]);
    expect(said({ steps: 3, evaluateEvery: 2 })).toEqual([
      'evaluateEvery: expected items to be held out for it, got testFraction: 0',
    ]);
  });
});

describe('the number of training steps', () => {
  const counted = { run: 'r', method: 'sft', model: 'm', data: 'd', batchSize: 10 };
  it.each([
    [{ steps: 7 }, 7],
    [{ epochs: 1 }, 4],
    [{ epochs: 0.1 }, 1],
    [{ epochs: 3 }, 11],
  ])('of %j over 35 items in batches of 10 is %i', (length, steps) => {
    expect(trainingSteps(parseRunConfig({ ...counted, ...length }), 35)).toBe(steps);
  });
  it('may not exceed what a run may have', () => {
    expect(() => trainingSteps(parseRunConfig({ ...counted, epochs: 1e6 }), 35)).toThrow('3500000');
  });
});
