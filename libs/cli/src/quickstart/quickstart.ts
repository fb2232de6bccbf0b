import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { formatSamples, formatTable } from '@rlhf-streams/evaluation';
import type { ArtifactRef } from '@rlhf-streams/events';
import { type Platform, startPlatform } from '../platform.js';
import { showRun } from '../show-run.js';
import { openDirectory } from './directory.js';
import { type RecipeOptions, recipe } from './recipe.js';
import { quickstartReport } from './report.js';
import { readResults } from './results.js';
import { type Verdict, verdictOf } from './verdict.js';

export interface QuickstartOptions extends RecipeOptions {
  readonly directory: string;
  readonly resume: boolean;
  readonly signal: AbortSignal;
}

/** Carries the experiment through all its stages and reports; whether alignment worked is the verdict. */
export async function quickstart({
  directory,
  resume,
  signal,
  ...options
}: QuickstartOptions): Promise<Verdict> {
  const begun = performance.now();
  await openDirectory(directory, options, resume);
  const platform = await startPlatform({ directory });
  try {
    console.log(
      `rlhf-streams: controlled sentiment on ${options.data === 'bundled' ? 'the bundled corpus' : options.data}, seed ${options.seed}`,
    );
    const gateway = platform.services.find(({ name }) => name === 'gateway')!;
    console.log(`Six services on the embedded log in ${directory}; watch at ${gateway.url}/v1/runs\n`);
    await runStages(platform, options, signal);
    const results = await readResults(platform.events);
    const verdict = verdictOf(results.policies);
    const checkpoints = await exportCheckpoints(platform, directory);

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
    await platform.close();
  }
}

async function runStages(platform: Platform, options: RecipeOptions, signal: AbortSignal): Promise<void> {
  const stages = recipe(options);
  for (const [index, { title, runs }] of stages.entries()) {
    for (const config of runs) {
      const name = runs.length > 1 ? `${title}: ${config.run}` : title;
      await showRun(platform, config, `${index + 1}/${stages.length} ${name}`, signal);
    }
  }
}

/** The trained models as plain folders in the Hugging Face layout. */
async function exportCheckpoints({ events, artifacts }: Platform, directory: string) {
  const newest = new Map<string, { version: number; artifact: ArtifactRef }>();
  for await (const { data } of events.readAll(['policy-versions'])) {
    if (data.version >= (newest.get(data.run)?.version ?? 0)) newest.set(data.run, data);
  }
  return Promise.all(
    ['sft', 'reward', 'ppo', 'dpo'].map(async (name) => {
      const path = resolve(directory, 'checkpoints', name);
      await artifacts.materialise(newest.get(name)!.artifact, path);
      return { name, path };
    }),
  );
}
