/** `npm run example:smollm2`: a real instruct model, aligned to people's preferences by adapters on a laptop's CPU. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeCheckpoint } from '@rlhf-streams/model';
import { written } from 'rlhf-streams';
import { sharedData } from '../shared-data.js';
import { EVALUATION, evaluationOf, FULL, MOST, runsOf, SHORT, type Sources } from './experiment.js';
import { trainKilled, versionsIn } from './killed.js';
import { writePrompts } from './prompts.js';
import { readResults } from './results.js';
import { environmentOf, type Place } from './services.js';

const USAGE = `usage: npm run example:smollm2 -- --model DIR [--data FOLDER] [--other-prompts FILE] [--short] [--brokers LIST]
                                   [--directory FOLDER]
  --model DIR         a chat model in the Hugging Face layout, such as SmolLM2-135M-Instruct
  --data FOLDER       train.jsonl and test.jsonl of comparisons, as {chosen, rejected} or {prompt, chosen, rejected}: texts,
                      messages, or transcripts of Human and Assistant (default: shared/data/hh-harmless beside the checkout,
                      where it is)
  --other-prompts FILE   of another kind than those of the comparisons: what is learned from these is judged on those too
                      (default: shared/data/alpaca-eval/test.jsonl beside the checkout, where it is)
  --short             a few steps in five minutes, and the same once more, killed on its way: both must end in the same bits
  --brokers LIST      a Kafka log: every service is a process; without it, all are in one, on an embedded log
  --directory FOLDER  where everything is written (default: runs/smollm2, and with --short runs/smollm2-short)
The same command goes on after an interruption.`;

const cli = fileURLToPath(new URL('../bin/rlhf-streams.js', import.meta.resolve('rlhf-streams')));
const { model, data, otherPrompts, short, brokers, directory } = await readOptions();
const size = short ? SHORT : FULL;
const place: Place = { directory, brokers };

await mkdir(directory, { recursive: true });
const sources = await sourcesIn(data);
const experiment = { experiment: 'smollm2', runs: runsOf(sources, size) };
const runs = await file('runs.json', experiment);
const evaluation = await file('evaluation.json', evaluationOf(sources, size));

const begun = performance.now();
await command('run', runs);
await command('evaluate', evaluation);
await tell();
if (short) await killOnTheWay();
console.log(`\nTook ${((performance.now() - begun) / 60_000).toFixed(1)} minutes.`);

async function tell(): Promise<void> {
  const { accuracy, margin, samples } = await readResults(place);
  console.log(`
Held-out comparisons by implicit reward, before training 50 % and 0 by definition:
  accuracy of DPO  ${written(accuracy, 3)}
  margin of DPO    ${written(margin, 3)}
`);
  for (const { prompt, answers } of samples) {
    console.log(`> ${oneLine(prompt)}`);
    for (const [policy, answer] of Object.entries(answers))
      console.log(`  ${policy.padEnd(5)}${oneLine(answer)}`);
  }
  console.log(`
The tables above, as a page: ${join(directory, 'evaluations', EVALUATION, 'evaluation.html')}
An adapter for Python:       npx rlhf-streams export dpo models/dpo --directory ${directory}
The model with it merged:    npx rlhf-streams export dpo models/dpo-merged --merge --directory ${directory}`);
}

async function killOnTheWay(): Promise<void> {
  const twin: Place = { brokers, directory: `${directory}-killed` };
  await rm(twin.directory, { recursive: true, force: true });
  await mkdir(twin.directory, { recursive: true });
  console.log('\nThe same once more, killed after the first step of each run:');
  const kills = await trainKilled(twin, experiment, (run) => console.log(`  killed in ${run}`));
  const [expected, came] = [await versionsIn(place), await versionsIn(twin)];
  const differing = experiment.runs.filter(({ run }) => expected.get(run) !== came.get(run));
  for (const { run } of experiment.runs) console.log(`  ${run.padEnd(7)} ${came.get(run)}`);
  if (differing.length > 0) {
    console.error(`${differing.map(({ run }) => run).join(', ')} ended in other weights than without a kill`);
    process.exitCode = 1;
  } else console.log(`  ${kills} kills later the adapters are the same, to the bit.`);
}

/** Does what somebody would at a shell, and shows it. @throws Error where the command fails */
async function command(name: string, path: string): Promise<void> {
  const options = ['--directory', directory, ...(brokers === undefined ? [] : ['--brokers', brokers])];
  console.log(`\n$ npx rlhf-streams ${[name, path, ...options].join(' ')}`);
  const child = spawn(process.execPath, [cli, name, path, ...options], {
    stdio: 'inherit',
    env: environmentOf(place),
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) process.exit(code ?? 1);
}

async function file(name: string, contents: object): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `${JSON.stringify(contents, undefined, 2)}\n`);
  return path;
}

/** Prompts are those of the comparisons, where they are short. */
async function sourcesIn(folder: string): Promise<Sources> {
  const [pairs, heldOut] = ['train.jsonl', 'test.jsonl'].map((name) => resolve(folder, name)) as [
    string,
    string,
  ];
  const [prompts, heldOutPrompts] = ['prompts.jsonl', 'held-out-prompts.jsonl'].map((name) =>
    join(directory, name),
  ) as [string, string];
  const write = (from: string, to: string) => writePrompts(model, from, { to, most: MOST.prompt });
  const counts = [await write(pairs, prompts), await write(heldOut, heldOutPrompts)];
  console.log(
    `${counts.join(' and ')} prompts of at most ${MOST.prompt} tokens, to learn from and held out.`,
  );
  const sources = { model, pairs, heldOut, prompts, heldOutPrompts };
  if (otherPrompts === undefined) return sources;
  const others = join(directory, 'other-prompts.jsonl');
  console.log(`${await write(otherPrompts, others)} prompts of another kind.`);
  return { ...sources, otherPrompts: others };
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= 150 ? line : `${line.slice(0, 149)}…`;
}

async function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        model: { type: 'string' },
        data: { type: 'string' },
        'other-prompts': { type: 'string' },
        short: { type: 'boolean', default: false },
        brokers: { type: 'string' },
        directory: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const { model, data = sharedData('hh-harmless'), short, brokers } = values;
    const alpaca = sharedData('alpaca-eval');
    const otherPrompts = values['other-prompts'] ?? (alpaca && join(alpaca, 'test.jsonl'));
    if (model === undefined || data === undefined)
      throw new Error(`expected --model and --data, got ${model === undefined ? 'no model' : 'no data'}`);
    for (const name of ['train.jsonl', 'test.jsonl'])
      await access(join(data, name)).catch(() => {
        throw new Error(`expected ${name} in ${data}`);
      });
    if (!(await stat(model)).isDirectory()) throw new Error(`expected a folder, got ${model}`);
    await describeCheckpoint(model);
    const directory = resolve(values.directory ?? (short ? 'runs/smollm2-short' : 'runs/smollm2'));
    if (otherPrompts !== undefined) await access(otherPrompts);
    return { model: resolve(model), data, otherPrompts, short, brokers, directory };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
