import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { formatSamples, formatTable } from '@rlhf-streams/evaluation';
import { newestVersions } from '@rlhf-streams/training/config';
import type { Client } from '../client.js';
import { showRun } from '../show-run.js';
import { isShared, openPlace, type Where } from '../where.js';
import { openDirectory } from './directory.js';
import { type RecipeOptions, recipe } from './recipe.js';
import { quickstartReport } from './report.js';
import { readResults } from './results.js';
import { type Verdict, verdictOf } from './verdict.js';

export interface QuickstartOptions extends RecipeOptions, Where {
  readonly resume: boolean;
  readonly signal: AbortSignal;
}

/** Carries the experiment through all its stages and reports; whether alignment worked is the verdict. */
export async function quickstart({
  directory,
  resume,
  signal,
  brokers,
  attach,
  replicas,
  ...options
}: QuickstartOptions): Promise<Verdict> {
  const begun = performance.now();
  const where: Where = {
    directory,
    ...(brokers && { brokers }),
    ...(attach && { attach }),
    ...(replicas && { replicas }),
  };
  // A log that is shared keeps its runs, and they their artifacts.
  if (isShared(where)) await mkdir(directory, { recursive: true });
  else await openDirectory(directory, options, resume);
  const place = await openPlace(where);
  try {
    console.log(
      `rlhf-streams: controlled sentiment on ${options.data === 'bundled' ? 'the bundled corpus' : options.data}, seed ${options.seed}`,
    );
    console.log(`${place.description}\n`);
    await runStages(place, options, signal);
    const results = await readResults(place.events);
    const verdict = verdictOf(results.policies);
    const checkpoints = await exportCheckpoints(place, directory);

    const seconds = (performance.now() - begun) / 1000;
    const report = join(directory, 'report.html');
    const facts = { data: options.data, seed: options.seed, seconds, createdAt: new Date(), checkpoints };
    await writeFile(report, quickstartReport(results, verdict, facts));
    console.log(`\n${formatTable(results.policies)}\n\n${formatSamples(results.samples)}\n`);
    console.log(verdict.text);
    console.log(`\nReport        ${resolve(report)}`);
    console.log(`Checkpoints   ${checkpoints.map(({ path }) => path).join('\n              ')}`);
    console.log(`Took ${seconds.toFixed(0)} s.`);
    return verdict;
  } finally {
    await place.close();
  }
}

async function runStages(client: Client, options: RecipeOptions, signal: AbortSignal): Promise<void> {
  const stages = recipe(options);
  for (const [index, { title, runs }] of stages.entries()) {
    for (const config of runs) {
      const name = runs.length > 1 ? `${title}: ${config.run}` : title;
      await showRun(client, config, `${index + 1}/${stages.length} ${name}`, signal);
    }
  }
}

/** The trained models as plain folders in the Hugging Face layout. */
async function exportCheckpoints({ events, artifacts }: Client, directory: string) {
  const newest = await newestVersions(events.readAll(['policy-versions']));
  return Promise.all(
    ['sft', 'reward', 'ppo', 'dpo'].map(async (name) => {
      const path = resolve(directory, 'checkpoints', name);
      await artifacts.materialise(newest.get(name)!.artifact, path);
      return { name, path };
    }),
  );
}
