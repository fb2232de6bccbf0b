import { resolve } from 'node:path';
import { exportedFiles } from '@rlhf-streams/model';
import { type Experiment, newestVersions, parseExperiment, type RunConfig } from '@rlhf-streams/runs';
import { type RecipeOptions, recipe, type Verdict, verdictOf } from '@rlhf-streams/sentiment';
import { engineInWords } from '@rlhf-streams/serving';
import { CliError } from '../errors.js';
import { putFolder } from '../export/target.js';
import type { Client } from '../place/client.js';
import { checkSettings } from '../place/platform.js';
import { environmentOf, isShared, openPlace, type Place, type Where } from '../place/where.js';
import { showExperiment } from '../runs/show-experiment.js';
import { table } from '../table.js';
import { asOption } from './allowing.js';
import { checkData } from './check-data.js';
import {
  type DirectoryOptions,
  defaultDirectory,
  nameOf,
  openDirectory,
  shareDirectory,
  writeReport,
} from './directory.js';
import { readResults } from './results.js';
import { policyTable, samplesInWords } from './tables.js';

export interface QuickstartOptions extends RecipeOptions, Omit<Where, 'directory'>, DirectoryOptions {
  /** Default: a folder of its own for each experiment. */
  readonly directory?: string;
  readonly signal: AbortSignal;
}

/** Carries the experiment through all its stages and reports on it; the verdict tells whether alignment worked. */
export async function quickstart(options: QuickstartOptions): Promise<Verdict> {
  const {
    data,
    seed,
    architecture = 'gpt2',
    lora = false,
    short = false,
    allow,
    resume,
    force,
    signal,
    ...place
  } = options;
  const begun = performance.now();
  const experiment: RecipeOptions = { data, seed, architecture, lora, short, ...(allow && { allow }) };
  const where: Where = { ...place, directory: place.directory ?? defaultDirectory(experiment), signal };
  const { directory } = where;
  const engine = await check(experiment, where);
  const client = await open(where, experiment, { resume, force });
  try {
    const about = [
      `controlled sentiment on ${data === 'bundled' ? 'the bundled corpus' : data}`,
      lora ? `${architecture} with adapters` : architecture,
      `seed ${seed}`,
      ...(engine === undefined || engine === 'onnx' ? [] : [`on the engine ${engine}`]),
    ];
    console.log(`rlhf-streams: ${about.join(', ')}`);
    console.log(`${client.description}\nEverything is written to ${resolve(directory)}\n`);
    await runStages(client, experiment, signal);
    const results = await readResults(client);
    const verdict = verdictOf(results.policies);
    const checkpoints = await exportCheckpoints(client, directory);

    // What draws the charts takes half a second to load: an experiment that is refused does not wait for it.
    const { quickstartReport } = await import('./report.js');
    const seconds = (performance.now() - begun) / 1000;
    const facts = { data, seed, engine, seconds, createdAt: new Date(), checkpoints };
    const report = await writeReport(directory, quickstartReport(results, verdict, facts));
    console.log(`\n${policyTable(results.policies)}\n\n${samplesInWords(results.samples)}\n`);
    console.log(verdict.text);
    const written = checkpoints.map(({ path }, index) => [index === 0 ? 'Checkpoints' : '', path]);
    console.log(`\n${table([['Report', report], ...written])}`);
    console.log(`Took ${seconds.toFixed(0)} s.`);
    return verdict;
  } finally {
    await client.close();
  }
}

/**
 * Refuses, before anything is written, whatever can be known to be wrong.
 * @returns the engine that computes, where the services are started here
 */
async function check(experiment: RecipeOptions, where: Where): Promise<string | undefined> {
  asExperiment(experiment);
  // Services that run elsewhere have settings, and may have files, of their own.
  const engine = where.attach ? undefined : engineInWords(await checkSettings(environmentOf(where)));
  await checkData(experiment.data).catch((error) => {
    if (!where.attach || error.code !== 'DATA_NOT_FOUND') throw error;
  });
  return engine;
}

/**
 * Starts the services on the embedded log of the experiment's folder, or on a shared log, whose runs cannot be
 * replaced.
 */
async function open(where: Where, experiment: RecipeOptions, options: DirectoryOptions): Promise<Place> {
  const { directory } = where;
  if (isShared(where)) {
    if (options.force)
      throw new CliError(
        'CLI_NOTHING_TO_REPLACE',
        'expected --force on the embedded log only: a log that others use too keeps its runs',
      );
    return shareDirectory(directory, experiment, () => openPlace(where));
  }
  return openDirectory(directory, experiment, options, (log) => openPlace({ ...where, log }));
}

/** The stages as one experiment, whose runs are on the log at once: each waits for those that it builds on. */
const asExperiment = (options: RecipeOptions): Experiment =>
  parseExperiment({ experiment: nameOf(options), runs: recipe(options).flatMap(({ runs }) => runs) });

async function runStages(client: Client, options: RecipeOptions, signal: AbortSignal): Promise<void> {
  const stages = recipe(options);
  const labels = new Map(
    stages.flatMap(({ title, runs }, index) =>
      runs.map(({ run }) => [
        run,
        `${index + 1}/${stages.length} ${runs.length > 1 ? `${title}: ${run}` : title}`,
      ]),
    ),
  );
  const labelOf = ({ run }: RunConfig) => labels.get(run)!;
  await showExperiment(client, asExperiment(options), { labelOf }, signal).catch((error) => {
    throw asOption(error);
  });
}

/** The trained models as plain folders in the Hugging Face layout, adapters merged into what they are on. */
async function exportCheckpoints({ events, artifacts }: Client, directory: string) {
  const newest = await newestVersions(events.readAll(['policy-versions']));
  return Promise.all(
    ['sft', 'reward', 'ppo', 'dpo'].map(async (name) => {
      const path = resolve(directory, 'checkpoints', name);
      const { base, adapter } = newest.get(name)!.model;
      if (adapter === undefined) await artifacts.materialise(base, path);
      else {
        const folders = { base: await artifacts.fetch(base), adapter: await artifacts.fetch(adapter) };
        await putFolder(path, (await exportedFiles(folders)).files);
      }
      return { name, path };
    }),
  );
}
