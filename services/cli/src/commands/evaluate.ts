import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Evaluation, evaluationCsv, evaluationTables } from '@rlhf-streams/evaluation';
import { writeFileAtomically } from '@rlhf-streams/files';
import type { RunConfig } from '@rlhf-streams/runs';
import { collectionOf, type EvaluationFile } from '../evaluate/file.js';
import { readEvaluationFile } from '../evaluate/read-file.js';
import { readResults } from '../evaluate/results.js';
import { openPlace, type Where } from '../place/where.js';
import { checkSources } from '../runs/check-sources.js';
import { isThere } from '../runs/request-run.js';
import { showExperiment } from '../runs/show-experiment.js';
import { table } from '../table.js';

/**
 * Requests the runs that an evaluation is made of, follows them to their end, and tells what came out. Runs that the log has
 * already go on, and those that are done are only read again.
 */
export async function evaluate(
  path: string,
  options: Where & { readonly signal: AbortSignal; readonly out?: string },
): Promise<void> {
  const { file, experiment } = await readEvaluationFile(path);
  const { directory, signal } = options;
  const place = await openPlace(options);
  try {
    console.log(`${place.description}\n`);
    // Services elsewhere have other files than this machine.
    if (!options.attach) {
      const there = await Promise.all(experiment.runs.map(({ run }) => isThere(place, run, signal)));
      await checkSources(experiment.runs.filter((_, index) => !there[index]));
    }
    const labelOf = ({ run }: RunConfig) => run.slice(file.evaluation.length + 1);
    await showExperiment(place, experiment, { labelOf }, signal);
    const results = await readResults(place, file);
    console.log(`\n${[inWords(results), ...uncovered(file, results)].join('\n\n')}`);
    const folder = resolve(options.out ?? join(directory, 'evaluations', file.evaluation));
    await mkdir(folder, { recursive: true });
    const files = {
      'evaluation.json': `${JSON.stringify(results, undefined, 2)}\n`,
      'evaluation.csv': evaluationCsv(results),
      'evaluation.html': await pageOf(results),
    };
    for (const [name, text] of Object.entries(files)) await writeFileAtomically(join(folder, name), text);
    console.log(`\nWritten to ${folder}: ${Object.keys(files).join(', ')}`);
  } finally {
    await place.close();
  }
}

/** What draws a page takes half a second to load: a mistake in the file is told before. */
async function pageOf(results: Evaluation): Promise<string> {
  const { renderReport } = await import('@rlhf-streams/evaluation/report');
  return renderReport({
    title: `Evaluation ${results.name}`,
    createdAt: new Date().toISOString(),
    facts: [
      ['Policies', results.policies.join(', ')],
      ['Baseline', results.baseline],
    ],
    parts: evaluationTables(results).map(({ title, ...table }) => ({ title, tables: [table] })),
  });
}

/** People who judged none of the pairs, which no table shows. */
const uncovered = ({ suites }: EvaluationFile, { measurements }: Evaluation): string[] =>
  suites.flatMap((suite) => {
    if (suite.kind !== 'win_rate') return [];
    const collections = suite.judges.flatMap((judge) => collectionOf(judge) ?? []);
    const judged = new Set(
      measurements.flatMap((each) => (each.suite === suite.name ? (each.by ?? []) : [])),
    );
    return collections
      .filter((collection) => !judged.has(collection))
      .map((collection) => `no pair of suite ${suite.name} is in feedback:${collection}`);
  });

function inWords(results: Evaluation): string {
  const tables = evaluationTables(results).map(
    ({ title, head, rows }) => `${title}\n\n${table(rows, { head, right: head.map((_, i) => i).slice(1) })}`,
  );
  const failed = results.failures.map(
    ({ suite, policy, items }) =>
      `${items} items of ${policy} failed in suite ${suite}, and count in no number`,
  );
  const legend =
    'Shares with Wilson 95 % intervals, means with those of Student, differences with those of the paired bootstrap; * marks those without zero.';
  return [...tables, ...failed, legend].join('\n\n');
}
