import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFolderAtomically } from '@rlhf-streams/files';
import {
  describeModel,
  exportedFiles,
  frozenTensors,
  logprobScorer,
  type ModelFolders,
  readAdapter,
  readCheckpoint,
  rewardScorer,
  type StoredAs,
  writeAdapter,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { onnxEngine } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHAT_TEMPLATE } from './models.js';
import { askPython, missingForPython } from './python.js';

interface Loaded {
  readonly dtype: string;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  readonly values: readonly (readonly number[])[];
  readonly chat: string | null;
  readonly ends: number | readonly number[] | null;
}

const fixture = (path: string) =>
  fileURLToPath(new URL(`../../../libs/model/fixtures/${path}`, import.meta.url));

const BODIES = ['gpt2', 'llama-tied', 'llama-untied', 'mistral', 'qwen2', 'qwen3'] as const;
const MODELS = BODIES.flatMap((body) => [body, `${body}-seqcls`]);
const ADAPTERS = [
  ['gpt2-lora', 'gpt2'],
  ['llama-lora-qv', 'llama-tied'],
  ['llama-lora-all-rslora', 'llama-untied'],
  ['gpt2-reward', 'gpt2'],
] as const;
/** The head that a reward model's adapter brings along, which its base is told to be without. */
const HEAD = 'score.weight';
const SHARD = 60_000;
const sequences = [7, 19, 33].map((length) =>
  Array.from({ length }, (_, i) => (i * i * 31 + 17 * length) % 380),
);

/** Log-probs of the tokens of each sequence, or its score, as this project computes them. */
async function valuesOf(folders: ModelFolders, cache: string): Promise<number[][]> {
  const described = await describeModel(folders);
  const { config } = described;
  const weightCache = { directory: cache, bytes: 0 };
  const frozen = await frozenTensors(folders, described, folders.base, weightCache);
  const tensors =
    folders.adapter === undefined ? undefined : (await readAdapter(folders.adapter, described.base)).tensors;
  const adapter = tensors && {
    version: folders.adapter!,
    parameters: Object.fromEntries([...tensors].map(([name, { data }]) => [name, data])),
  };
  const items = sequences.map((tokens) => ({ tokens, temperature: 1 }));
  if (config.head.kind === 'scalar') {
    const scores = await rewardScorer(onnxEngine(), config, frozen).score(items, adapter);
    return scores.map((score) => [score]);
  }
  const rows = await logprobScorer(onnxEngine(), config, frozen).score(items, adapter);
  return rows.map((row) => [...row]);
}

const weightsIn = async (dir: string) => {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.safetensors')).sort();
  return Promise.all(names.map(async (name) => [name, (await readFile(join(dir, name))).toString('latin1')]));
};

const missing = missingForPython();
if (missing) console.warn(`Checkpoints are not tried with Python: it ${missing}.`);

describe.skipIf(missing)(missing ? `Python (skipped: it ${missing})` : 'transformers and PEFT', () => {
  let folder: string;
  const loaded = new Map<string, Loaded>();
  const at = (...path: string[]) => join(folder, ...path);
  const ours = (base: string, adapter?: string) =>
    valuesOf({ base, ...(adapter !== undefined && { adapter }) }, at('cache'));

  /** Writes a golden model as a run publishes it, and an export of that. */
  async function publishAndExport(name: string): Promise<void> {
    const { config, tensors } = await readCheckpoint(fixture(`models/${name}`));
    const read = async (file: string) =>
      JSON.parse(await readFile(fixture(`tokenizers/gpt2/${file}`), 'utf8'));
    const tokenizer = { json: await read('tokenizer.json'), config: await read('tokenizer_config.json') };
    const ends = JSON.stringify({ eos_token_id: [3, 5], pad_token_id: 5 });
    const extraFiles = new Map([
      ['chat_template.jinja', CHAT_TEMPLATE],
      ['generation_config.json', ends],
    ]);
    const begun = { ...config, storedAs: { dtype: 'bfloat16', maxShardBytes: SHARD } as StoredAs };
    await writeCheckpoint(at('published', name), { config: begun, tensors, tokenizer, extraFiles });
    const { files } = await exportedFiles({ base: at('published', name) });
    await writeFolderAtomically(at('exported', name), files);
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'checkpoints-'));
    for (const name of MODELS) await publishAndExport(name);
    for (const [name, base] of ADAPTERS) {
      const folders = { base: at('published', base), adapter: fixture(`adapters/${name}`) };
      const described = await describeModel(folders);
      const { tensors } = await readAdapter(folders.adapter, described.base);
      const { config, tokenizer } = described;
      await writeAdapter(at('adapters', name), { config, tensors, tokenizer, base: folders.base });
      const merged = { base: folders.base, adapter: at('adapters', name) };
      const { files } = await exportedFiles(merged, { dtype: 'float32' });
      await writeFolderAtomically(at('merged', name), files);
    }
    const loads: Record<string, { folder: string; adapter?: string }> = {};
    for (const name of MODELS) {
      loads[`published ${name}`] = { folder: at('published', name) };
      loads[`exported ${name}`] = { folder: at('exported', name) };
    }
    for (const [name, base] of ADAPTERS) {
      loads[`adapter ${name}`] = { folder: at('published', base), adapter: at('adapters', name) };
      loads[`merged ${name}`] = { folder: at('merged', name) };
    }
    const saves = MODELS.map((name) => ({
      from: at('published', name),
      to: at('saved', name),
      dtype: 'bfloat16',
      maxShardBytes: SHARD,
    }));
    const answers = await askPython<readonly Loaded[]>(folder, 'checkpoints.py', {
      saves,
      loads: Object.values(loads).map((load) => ({ ...load, sequences })),
    });
    for (const [i, name] of Object.keys(loads).entries()) loaded.set(name, answers[i]!);
  }, 600_000);
  afterAll(() => rm(folder, { recursive: true }));

  const expectSame = (theirs: readonly (readonly number[])[], values: readonly (readonly number[])[]) => {
    for (const [i, row] of values.entries())
      for (const [j, value] of row.entries()) expect(Math.abs(theirs[i]![j]! - value)).toBeLessThan(1e-4);
    expect(new Set(values.flat()).size).toBeGreaterThan(1);
  };

  describe.each(MODELS)('%s', (name) => {
    it.each([
      ['published', 'float32'],
      ['exported', 'bfloat16'],
    ])('loads as it was %s, without a warning, to the same numbers', async (how, dtype) => {
      const { values, chat, ends, ...rest } = loaded.get(`${how} ${name}`)!;
      expect(rest).toEqual({ dtype, problems: [], warnings: [] });
      expect(chat).toBe(CHAT_TEMPLATE);
      if (!name.endsWith('seqcls')) expect(ends).toEqual([3, 5]);
      expectSame(values, await ours(at(how, name)));
      const shards = (await readdir(at(how, name))).filter((file) => file.startsWith('model-'));
      expect(shards.length > 1).toBe(how === 'exported');
    });

    it('is read as transformers saves it in bfloat16 and shards, and exported to the same bytes', async () => {
      expectSame(await ours(at('saved', name)), await ours(at('exported', name)));
      const { files } = await exportedFiles({ base: at('saved', name) });
      await writeFolderAtomically(at('again', name), files);
      expect(await weightsIn(at('again', name))).toEqual(await weightsIn(at('saved', name)));
    });
  });

  it.each(ADAPTERS)(
    'the adapter %s loads in PEFT, and merged in transformers, to the same numbers',
    async (name, base) => {
      const values = await ours(at('published', base), at('adapters', name));
      for (const how of ['adapter', 'merged']) {
        const theirs = loaded.get(`${how} ${name}`)!;
        // PEFT's own, which it gives of every adapter.
        const warnings = theirs.warnings.filter(
          (text) => !text.startsWith('`is_gradient_checkpointing` is deprecated'),
        );
        const ofHead = (text: string) => how === 'adapter' && name === 'gpt2-reward' && text.includes(HEAD);
        expect([...theirs.problems, ...warnings].filter((text) => !ofHead(text))).toEqual([]);
        expectSame(theirs.values, values);
      }
      expect(loaded.get(`merged ${name}`)!.dtype).toBe('float32');
    },
  );
});
