import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTokenizer, readCheckpoint, readTokenizer } from '@rlhf-streams/model';
import { type Platform, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CHAT_TEMPLATE,
  type Experiment,
  experiment,
  foreignModel,
  framedTokenizers,
  STEPS,
} from './models.js';
import { askPython, missingForPython } from './python.js';

interface Answer {
  readonly encodings: readonly {
    readonly ids: readonly number[][];
    readonly length: number;
    readonly chat: string | null;
    readonly warnings: readonly string[];
  }[];
  readonly generations: readonly {
    readonly texts: readonly string[];
    readonly warnings: readonly string[];
  }[];
  readonly scores: readonly { readonly scores: readonly number[]; readonly warnings: readonly string[] }[];
  readonly losses: readonly (readonly number[])[];
}

const prompts = [
  'The film was',
  'I have never',
  'A story that',
  'What a',
  'Nobody',
  'The acting and the',
  'It is',
  'She',
  'the worst of',
  'Good',
];
const texts = [...prompts.map((prompt) => `${prompt} fine.`), 'A good film, and a long one!'];
const TOKENS = 20;
/** The start of a model: a new one begins texts with the end of text, the foreign one with nothing. */
const starts = ['new', 'foreign'] as const;

const missing = missingForPython();
if (missing) console.warn(`Interoperation with Python is not tested: it ${missing}.`);

describe.skipIf(missing)(missing ? `Python (skipped: it ${missing})` : 'Python', () => {
  let folder: string;
  let platform: Platform;
  const experiments: Partial<Record<(typeof starts)[number], Experiment>> = {};
  let framed: Record<string, string>;
  let answer: Answer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'python-'));
    platform = await startPlatform({ directory: join(folder, 'log'), logLevel: 'error' });
    const tiny = { layers: 2, width: 32, heads: 2, contextLength: 64, vocabSize: 320 };
    experiments.new = await experiment(platform, join(folder, 'new'), 'new', tiny);
    const foreign = await foreignModel(join(folder, 'foreign-model'));
    experiments.foreign = await experiment(platform, join(folder, 'foreign'), 'foreign', foreign);
    const of = <T>(make: (experiment: Experiment) => readonly T[]) =>
      starts.flatMap((start) => make(experiments[start]!));
    framed = await framedTokenizers(join(folder, 'framed'));
    answer = await askPython<Answer>(folder, 'interop.py', {
      encodings: [
        ...of(({ folders }) => Object.values(folders).map((folder) => ({ folder, texts }))),
        ...Object.values(framed).map((folder) => ({ folder, texts })),
      ],
      generations: of(({ folders }) =>
        [folders.sft, folders.dpo].flatMap((folder) =>
          [prompts, ['']].map((prompts) => ({ folder, prompts, tokens: TOKENS })),
        ),
      ),
      scores: of(({ folders }) => [{ folder: folders.reward, texts }]),
      losses: of(({ trainings }) => trainings.map(({ training }) => training)),
    });
  }, 600_000);
  afterAll(async () => {
    await platform?.close();
    await rm(folder, { recursive: true });
  });

  describe.each(starts.map((start, index) => ({ start, index })))('a $start model', ({ start, index }) => {
    const made = () => experiments[start]!;

    it.each(['sft', 'dpo', 'reward'] as const)(
      'of a %s run is tokenised as here, and says how long a text may be',
      async (run) => {
        const read = answer.encodings[index * 3 + ['sft', 'dpo', 'reward'].indexOf(run)]!;
        const { tokenizer, config } = await readCheckpoint(made().folders[run]);
        const { begin, encode, end } = loadTokenizer(tokenizer!.json, tokenizer!.config);
        expect(read.ids).toEqual(texts.map((text) => [...begin, ...encode(text), ...end]));
        expect(read.length).toBe(config.contextLength);
        expect(read.warnings).toEqual([]);
      },
    );

    it.each(['sft', 'dpo'] as const)(
      'of a %s run continues prompts greedily as it does here',
      async (run) => {
        const ours = await Promise.all(prompts.map((prompt) => made().complete(run, prompt, TOKENS)));
        const place = index * 4 + (run === 'sft' ? 0 : 2);
        const { texts, warnings } = answer.generations[place]!;
        expect(texts).toEqual(ours);
        // transformers warns of the padding that the empty prompt does not have.
        expect(answer.generations[place + 1]!.texts).toEqual([await made().complete(run, '', TOKENS)]);
        expect(new Set(ours).size).toBeGreaterThan(1);
        expect(warnings).toEqual([]);
      },
    );

    it('of a reward run scores texts as it does here', async () => {
      const ours = await made().score(texts);
      const { scores, warnings } = answer.scores[index]!;
      for (const [i, score] of scores.entries()) expect(score).toBeCloseTo(ours[i]!, 4);
      expect(Math.max(...ours) - Math.min(...ours)).toBeGreaterThan(0.01);
      expect(warnings).toEqual([]);
    });

    it.each(['sft', 'dpo', 'reward'] as const)("has TRL's losses in %s training", (method) => {
      const place = made().trainings.findIndex(({ training }) => training.method === method);
      const { losses } = made().trainings[place]!;
      const theirs = answer.losses[index * 3 + place]!;
      expect(losses).toHaveLength(STEPS);
      expect(theirs).toHaveLength(STEPS);
      for (const [step, loss] of losses.entries())
        expect(Math.abs(theirs[step]! / loss - 1)).toBeLessThan(1e-5);
      expect(Math.min(...losses)).toBeLessThan(0.999 * losses[0]!);
    });
  });

  it('puts around a text what the tokenizers of transformers put there', async () => {
    const places = Object.keys(framed).map((name, i) => [name, 6 + i] as const);
    for (const [name, place] of places) {
      const { begin, encode, end } = (await readTokenizer(framed[name]!))!;
      const ours = texts.map((text) => [...begin, ...encode(text), ...end]);
      expect(answer.encodings[place]!.ids, name).toEqual(ours);
    }
    expect(places).toHaveLength(6);
  });

  it('gets the chat template and the other files of a foreign model back', async () => {
    for (const { chat } of answer.encodings.slice(3, 6)) expect(chat).toBe(CHAT_TEMPLATE);
    for (const made of Object.values(experiments.foreign!.folders)) {
      expect(await readdir(made)).toEqual(
        expect.arrayContaining(['NOTICE', 'chat_template.jinja', 'generation_config.json']),
      );
      expect(await readFile(join(made, 'NOTICE'), 'utf8')).toBe('Ours.\n');
    }
  });
});
