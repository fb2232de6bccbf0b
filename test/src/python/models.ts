/** Models of this project for Python: trained on the platform, with what it serves and what it computed on the way. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ArtifactRef } from '@rlhf-streams/events';
import { loadTokenizer, readCheckpoint } from '@rlhf-streams/model';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import { followRun, type Platform, requestRun, type ServiceName } from 'rlhf-streams';

/** Where an experiment's models begin: a new one, or a folder. */
type Start = Extract<RunConfigInput, { method: 'sft' }>['model'];

export const STEPS = 16;
const BATCH = 8;
const LEARNING_RATE = 1e-3;

/** A training run as TRL can do it again. */
export interface Training {
  readonly method: 'sft' | 'dpo' | 'reward';
  /** The model it starts from. */
  readonly folder: string;
  readonly rows: readonly object[];
  readonly batchSize: number;
  readonly steps: number;
  readonly learningRate: number;
}

export interface Experiment {
  /** Folders of the models that the runs published at their end, by run. */
  readonly folders: Readonly<Record<'sft' | 'dpo' | 'reward', string>>;
  readonly trainings: readonly { readonly training: Training; readonly losses: readonly number[] }[];
  complete(run: 'sft' | 'dpo', prompt: string, tokens: number): Promise<string>;
  score(texts: readonly string[]): Promise<number[]>;
}

const reviews = bundledCorpus({ size: 400 })
  .map(({ text }) => text.split(' '))
  .filter((words) => words.length >= 6)
  .map((words) => ({ prompt: words.slice(0, 3).join(' '), rest: words.slice(3, 9).join(' ') }));

/** Prompts and completions; a completion brings the space before it. */
const demonstrations = reviews.map(({ prompt, rest }) => ({ prompt, completion: ` ${rest}` }));
const preferences = reviews.map(({ prompt, rest }) => ({
  prompt,
  chosen: ` ${rest}`,
  rejected: ` ${rest.split(' ').reverse().join(' ')}`,
}));

const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/**
 * SFT of `model` until it can distinguish prompts, then SFT for the STEPS that are compared with TRL; from that model DPO
 * and a reward model, and a run that scores with the reward model.
 */
export async function experiment(
  platform: Platform,
  directory: string,
  name: string,
  model: Start,
): Promise<Experiment> {
  await mkdir(directory, { recursive: true });
  const [texts, pairs] = [join(directory, 'texts.jsonl'), join(directory, 'pairs.jsonl')];
  await writeFile(texts, jsonLines(demonstrations));
  await writeFile(pairs, jsonLines(preferences));
  const common = {
    seed: 3,
    steps: STEPS,
    batchSize: BATCH,
    microBatchSize: 4,
    optimizer: { learningRate: LEARNING_RATE },
  };
  const id = (run: string) => `${name}-${run}`;
  const from = `run:${id('sft')}`;
  const configs: RunConfigInput[] = [
    {
      ...common,
      run: id('start'),
      method: 'sft',
      model,
      data: texts,
      steps: 100,
      optimizer: { learningRate: 5e-3 },
    },
    { ...common, run: id('sft'), method: 'sft', model: `run:${id('start')}`, data: texts },
    { ...common, run: id('dpo'), method: 'dpo', model: from, data: pairs },
    { ...common, run: id('reward'), method: 'reward', model: from, data: pairs },
    {
      run: id('scored'),
      method: 'sample',
      model: from,
      prompts: texts,
      scorers: [`run:${id('reward')}`],
      steps: 1,
      batchSize: 2,
      sampling: { maxNewTokens: 4 },
    },
  ];
  for (const config of configs) {
    await requestRun(platform, config);
    await followRun(platform, config.run, {});
  }

  const log = await readLog(platform);
  const folderOf = (artifact: ArtifactRef) => platform.artifacts.fetch(artifact);
  const trainings = await Promise.all(
    (['sft', 'dpo', 'reward'] as const).map(async (method) => {
      const folder = await folderOf(log.started.get(id(method))!);
      const { tokenizer } = await readCheckpoint(folder);
      const { decode } = loadTokenizer(tokenizer!.json, tokenizer!.config);
      const text = (tokens: readonly number[]) => decode(tokens, { skipSpecialTokens: true });
      const rows =
        method === 'sft'
          ? log.demonstrations
              .filter(({ run }) => run === id(method))
              .map(({ promptTokens, tokens }) => ({ prompt: text(promptTokens), completion: text(tokens) }))
          : log.comparisons
              .filter(({ run }) => run === id(method))
              .map(({ promptText, completions: [chosen, rejected] }) => ({
                prompt: promptText,
                chosen: chosen!.text,
                rejected: rejected!.text,
              }));
      const training = { method, folder, rows, batchSize: BATCH, steps: STEPS, learningRate: LEARNING_RATE };
      return { training, losses: log.losses.get(id(method))! };
    }),
  );

  const published = async (run: string) => {
    const folder = join(directory, run);
    await cp(await folderOf(log.newest.get(id(run))!), folder, { recursive: true });
    return folder;
  };
  return {
    folders: { sft: await published('sft'), dpo: await published('dpo'), reward: await published('reward') },
    trainings,
    async complete(run, prompt, tokens) {
      const request = { model: id(run), prompt, max_tokens: tokens, temperature: 0 };
      const { choices } = await post<{ choices: [{ text: string }] }>(
        platform,
        'policy',
        '/v1/completions',
        request,
      );
      return choices[0].text;
    },
    async score(texts) {
      const request = { run: id('scored'), texts };
      const { scores } = await post<{ scores: { score: number }[] }>(
        platform,
        'reward',
        '/v1/scores',
        request,
      );
      return scores.map(({ score }) => score);
    },
  };
}

async function readLog({ events }: Platform) {
  const started = new Map<string, ArtifactRef>();
  const newest = new Map<string, ArtifactRef>();
  const losses = new Map<string, number[]>();
  const demonstrations: {
    run: string;
    step: number;
    place: number;
    promptTokens: number[];
    tokens: number[];
  }[] = [];
  const comparisons: {
    run: string;
    step: number;
    place: number;
    promptText: string;
    completions: { text: string }[];
  }[] = [];
  const place = (id: string) => Number(id.split('/').at(-1));
  const topics = ['runs', 'policy-versions', 'training-metrics', 'demonstrations', 'comparisons'] as const;
  for await (const { type, data } of events.readAll([...topics])) {
    if (type === 'run.started') started.set(data.run, data.models.policy!.base);
    else if (type === 'policy.published') newest.set(data.run, data.model.base);
    else if (type === 'step.completed')
      losses.set(data.run, [...(losses.get(data.run) ?? []), data.metrics.loss!]);
    else if (type === 'demonstration.recorded')
      demonstrations.push({ ...data, place: place(data.demonstration) });
    else if (type === 'comparison.recorded') comparisons.push({ ...data, place: place(data.comparison) });
  }
  const inOrder = (a: { step: number; place: number }, b: { step: number; place: number }) =>
    a.step - b.step || a.place - b.place;
  return {
    started,
    newest,
    losses,
    demonstrations: demonstrations.sort(inOrder),
    comparisons: comparisons.sort(inOrder),
  };
}

async function post<Body>(
  platform: Platform,
  service: ServiceName,
  path: string,
  request: unknown,
): Promise<Body> {
  const { request: send } = platform.services.find(({ name }) => name === service)!;
  const headers = { 'content-type': 'application/json' };
  const response = await send(path, { method: 'POST', headers, body: JSON.stringify(request) });
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Body;
}

const fixture = (path: string) =>
  fileURLToPath(new URL(`../../../libs/model/fixtures/${path}`, import.meta.url));

/** Tokenizers that put tokens around texts in all the ways there are, each in a folder, by what it does. */
export async function framedTokenizers(directory: string): Promise<Record<string, string>> {
  const json = JSON.parse(await readFile(fixture('tokenizers/qwen2/tokenizer.json'), 'utf8'));
  const token = (name: string, id: number) => ({ [name]: { id: name, ids: [id], tokens: [name] } });
  const [start, close, end] = ['<|im_start|>', '<|im_end|>', '<|endoftext|>'] as const;
  const special = { ...token(start, 2), ...token(close, 3), ...token(end, 0) };
  const template = (before: string[], after: string[]) => {
    const put = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
    const single = [...before.map(put), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(put)];
    const pair = [...single, { Sequence: { id: 'B', type_id: 0 } }];
    return { type: 'TemplateProcessing', single, pair, special_tokens: special };
  };
  const bert = { cls: [start, 2], sep: [close, 3] };
  const offsets = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true };
  const processors: Record<string, object | null> = {
    'no processor': null,
    offsets,
    'a template': template([end, start], [close]),
    'a template after offsets': { type: 'Sequence', processors: [offsets, template([start], [])] },
    "BERT's": { type: 'BertProcessing', ...bert },
    "RoBERTa's": { type: 'RobertaProcessing', ...bert, trim_offsets: true, add_prefix_space: false },
  };
  const folders: Record<string, string> = {};
  for (const [name, post_processor] of Object.entries(processors)) {
    const folder = join(directory, `${Object.keys(folders).length}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify({ ...json, post_processor }));
    // What a model's own settings say beside it: these are heeded by nobody where there is a tokenizer.json.
    const flags = { add_bos_token: true, add_eos_token: true, bos_token: end, eos_token: end };
    const config = { tokenizer_class: 'PreTrainedTokenizerFast', ...flags };
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
    folders[name] = folder;
  }
  return folders;
}

export const CHAT_TEMPLATE = '{% for message in messages %}{{ message.content }}\n{% endfor %}';

/** A checkpoint as others publish them: nothing begins a text, the end of text fills batches, further files beside. */
export async function foreignModel(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const json = async (path: string) => JSON.parse(await readFile(fixture(path), 'utf8'));
  const write = (name: string, value: unknown) => writeFile(join(directory, name), JSON.stringify(value));
  const config = await json('models/gpt2/config.json');
  const { eos_token, bos_token } = await json('tokenizers/gpt2/tokenizer_config.json');
  await write('config.json', { ...config, pad_token_id: config.eos_token_id });
  await cp(fixture('models/gpt2/model.safetensors'), join(directory, 'model.safetensors'));
  await cp(fixture('tokenizers/gpt2/tokenizer.json'), join(directory, 'tokenizer.json'));
  await write('tokenizer_config.json', { tokenizer_class: 'GPT2Tokenizer' });
  await write('special_tokens_map.json', { eos_token, bos_token, pad_token: eos_token });
  await write('generation_config.json', {
    bos_token_id: config.bos_token_id,
    eos_token_id: config.eos_token_id,
    pad_token_id: config.eos_token_id,
  });
  await writeFile(join(directory, 'chat_template.jinja'), CHAT_TEMPLATE);
  await writeFile(join(directory, 'NOTICE'), 'Ours.\n');
  return directory;
}
