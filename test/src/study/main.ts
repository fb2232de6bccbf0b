/** `npm run study`: what the methods do beside each other, as one report. */
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ReportData, ReportPart } from '@rlhf-streams/evaluation';
import { chartSvg, renderReport } from '@rlhf-streams/evaluation/report';
import { writeFileAtomically } from '@rlhf-streams/files';
import * as tf from '@tensorflow/tfjs';
import { machineFacts, startPlatform } from 'rlhf-streams';
import { sharedData } from '../shared-data.js';
import { carrier } from './carrier.js';
import type { StudyOptions } from './part.js';
import { parts as runParts } from './parts/index.js';
import { optimum } from './parts/optimum.js';

const parts = [optimum, ...runParts];
const names = parts.map(({ name }) => name);

const USAGE = `usage: npm run study -- [--short] [--only NAME]... [--alpaca FOLDER] [--model FOLDER]
                           [--directory FOLDER] [--parallel N]
  --short             few steps and one seed: every part whose data are there runs, in five minutes, and says little
  --only NAME         ${names.join(', ')}; may be given several times
  --alpaca FOLDER     rankings of AlpacaEval, train.jsonl and test.jsonl, for k-wise, which is left out
                      without (default: shared/data/alpaca-eval beside the checkout, where it is)
  --model FOLDER      a checkpoint in the Hugging Face layout, such as SmolLM2-135M-Instruct, for k-wise-lora, likewise
  --directory FOLDER  where everything is written (default: runs/study, and with --short runs/study-short)
  --parallel N        runs that are trained at a time (default: one a core, at most 4)
The same command goes on after an interruption.`;

const { short, only, alpaca, model, directory, parallel } = readOptions();
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => interruption.abort(new Error('interrupted; the same command goes on')));

// Its backend of plain JavaScript, which the part without runs computes with, advises to install another one.
tf.enableProdMode();

await mkdir(directory, { recursive: true });
const study: StudyOptions = {
  short,
  seeds: short ? [0] : [0, 1, 2],
  files: resolve(directory, 'data'),
  alpaca,
  model,
};
const begun = performance.now();
const platform = await startPlatform({ directory, logLevel: 'error' });
const shown: ReportPart[] = [];
let failed = false;
try {
  const carry = carrier(platform, study, { parallel, signal: interruption.signal });
  for (const part of parts) {
    if (!only.includes(part.name)) continue;
    const { name, title, text } = part;
    const skipped = part.skipped?.(study);
    console.log(`\n${name}: ${title}${skipped === undefined ? '' : `: left out, ${skipped}`}`);
    if (skipped !== undefined) {
      shown.push({ title, text, result: `Left out: ${skipped}.` });
      continue;
    }
    const answer = await part.answer(study, carry).catch((error: Error) => {
      interruption.signal.throwIfAborted();
      failed = true;
      return { result: `This part failed: ${error.message}` };
    });
    if (answer.result !== undefined) console.log(answer.result);
    shown.push({ title, text, ...answer });
    // Whatever comes later, what is done is there to be read.
    await write();
  }
  console.log(`\nReport  ${join(resolve(directory), 'report.html')}`);
} catch (error) {
  console.error((error as Error).message);
  failed = true;
} finally {
  await platform.close();
}
if (failed) process.exitCode = interruption.signal.aborted ? 130 : 1;

async function write(): Promise<void> {
  const report: ReportData = {
    title: short ? 'Study of the methods, in short' : 'Study of the methods',
    createdAt: new Date().toISOString(),
    facts: [
      ['Seeds', study.seeds.join(', ')],
      ['Time of this command', `${((performance.now() - begun) / 60_000).toFixed(1)} min`],
      ...machineFacts(),
    ],
    parts: shown,
  };
  await writeFileAtomically(join(directory, 'report.html'), renderReport(report));
  await writeFileAtomically(join(directory, 'study.json'), `${JSON.stringify(shown, null, 2)}\n`);
  const charts = shown.flatMap(({ charts = [] }) => charts);
  await mkdir(join(directory, 'charts'), { recursive: true });
  for (const chart of charts) {
    const name = chart.title.toLowerCase().replace(/[^a-z0-9]+/g, '-');
    await writeFileAtomically(join(directory, 'charts', `${name}.svg`), chartSvg(chart));
  }
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        short: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        alpaca: { type: 'string' },
        model: { type: 'string' },
        directory: { type: 'string' },
        parallel: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const unknown = values.only?.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new Error(`there is no part ${unknown}`);
    const parallel =
      values.parallel === undefined ? Math.min(4, availableParallelism()) : Number(values.parallel);
    if (!(Number.isInteger(parallel) && parallel > 0))
      throw new Error(`expected --parallel to be a whole number above 0, got ${values.parallel}`);
    const { short, alpaca = sharedData('alpaca-eval'), model, only = names } = values;
    const directory = values.directory ?? (short ? 'runs/study-short' : 'runs/study');
    return { short, only, alpaca, model, directory, parallel };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
