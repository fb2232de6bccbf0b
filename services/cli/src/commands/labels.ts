import { mkdir } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { readDataset } from '@rlhf-streams/data';
import {
  comparisonsOf,
  heldOutAgreements,
  type Label,
  type LabelResults,
  labelerAgreements,
  labelsCsv,
  labelTables,
  measureLabels,
  readLabels,
} from '@rlhf-streams/evaluation';
import { writeFileAtomically } from '@rlhf-streams/files';
import { parseSource } from '@rlhf-streams/runs';
import { CliError } from '../errors.js';
import { openToLook, type Where } from '../place/where.js';
import { type Feedback, readFeedback } from '../runs/read-feedback.js';
import { table } from '../table.js';

export interface LabelsOptions extends Pick<Where, 'directory' | 'brokers'> {
  /** Columns to slice by. */
  readonly slices: readonly string[];
  /** Who is held out: ids of labelers, or `group=NAME`. */
  readonly heldOut: readonly string[];
  /** Columns of scorers' numbers. */
  readonly scores: readonly string[];
  readonly json?: string;
  readonly csv?: string;
  readonly html?: string;
  /** For all labels, a row each. */
  readonly labels?: string;
  /** For the rankings of labelers who are not held out. */
  readonly comparisons?: string;
}

/** Of the bootstrap: the same labels give the same intervals. */
const seed = 0;

/**
 * Tells what labelers said of completions, how far they agree, and how far others agree with those who are held out.
 * @param path of a file, or `feedback:COLLECTION` of the log
 */
export async function labels(path: string, options: LabelsOptions): Promise<void> {
  const { slices, scores } = options;
  const all = await labelsIn(path, options);
  for (const column of [...slices, ...scores]) requireColumn(path, all, column);
  const isHeldOut = heldOutBy(path, all, options.heldOut);
  const training = all.filter((label) => !isHeldOut(label));
  const apart = options.heldOut.length > 0;
  const results: LabelResults = {
    labels: all.length,
    labelers: labelersOf(all),
    heldOut: labelersOf(all.filter(isHeldOut)),
    measurements: measureLabels(all, { seed, slices }),
    agreements: apart
      ? [
          ...labelerAgreements(training, 'training labelers', { seed, slices }),
          ...labelerAgreements(all.filter(isHeldOut), 'held-out labelers', { seed, slices }),
        ]
      : labelerAgreements(all, 'all labelers', { seed, slices }),
    heldOutAgreements: apart ? heldOutAgreements(all, { isHeldOut, scores, slices }) : [],
  };
  const tables = labelTables(results).map(
    ({ title, head, rows }) => `${title}\n\n${table(rows, { head, right: [] })}`,
  );
  console.log(
    [`${all.length} labels of ${results.labelers.length} labelers`, ...tables, LEGEND].join('\n\n'),
  );
  const write = async (file: string | undefined, text: () => string | Promise<string>) => {
    if (file === undefined) return;
    await mkdir(dirname(resolve(file)), { recursive: true });
    await writeFileAtomically(resolve(file), await text());
    console.log(`\nWritten to ${resolve(file)}`);
  };
  await write(options.json, () => `${JSON.stringify(results, undefined, 2)}\n`);
  await write(options.csv, () => labelsCsv(results));
  await write(options.html, () => pageOf(path, results));
  await write(options.labels, () => lines(all));
  await write(options.comparisons, () => lines(comparisonsOf(training, collectionOf(options.comparisons!))));
}

async function labelsIn(path: string, { scores, ...where }: LabelsOptions): Promise<Label[]> {
  const source = parseSource('data', path);
  if (source.from !== 'feedback') {
    const rows: unknown[] = [];
    for await (const row of readDataset(path)) rows.push(row);
    return readLabels(rows, path, { scores });
  }
  const place = await openToLook(where);
  try {
    const all = await readFeedback(place, source.collection);
    const said = all.filter((feedback) => !isBareThumb(feedback));
    if (said.length < all.length)
      console.log(`${all.length - said.length} thumbs of ${path} have no labels, and are left out\n`);
    return readLabels(said, path, { scores, placeOf: ({ feedback }) => `feedback ${feedback}` });
  } finally {
    await place.close();
  }
}

/** A product's thumb may stand beside labels, and says nothing that their columns hold. */
const isBareThumb = ({ completion, metadata }: Feedback): boolean =>
  completion !== undefined && metadata?.labels === undefined;

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

const LEGEND =
  'Shares of yes with Wilson 95 % intervals, mean quality with that of Student, each label counted as independent of the others; kappa 0 is what chance would give, 1 agreement on everything.';

async function pageOf(path: string, results: LabelResults): Promise<string> {
  const { renderReport } = await import('@rlhf-streams/evaluation/report');
  return renderReport({
    title: `Labels of ${basename(path)}`,
    createdAt: new Date().toISOString(),
    facts: [
      ['Labels', String(results.labels)],
      ['Labelers', results.labelers.join(', ')],
      ...(results.heldOut.length > 0 ? [['Held out', results.heldOut.join(', ')] as const] : []),
    ],
    parts: labelTables(results).map(({ title, ...table }) => ({ title, tables: [table] })),
  });
}

const labelersOf = (labels: readonly Label[]): string[] =>
  [...new Set(labels.map(({ labeler }) => labeler))].sort();

function requireColumn(path: string, labels: readonly Label[], column: string): void {
  if (labels.some((label) => label[column] !== undefined)) return;
  const columns = [...new Set(labels.flatMap((label) => Object.keys(label)))];
  throw new CliError(
    'CLI_DATA_UNFIT',
    `${path}: expected a column ${column}, which no row has a value of; there are ${columns.join(', ')}`,
  );
}

function heldOutBy(
  path: string,
  labels: readonly Label[],
  names: readonly string[],
): (label: Label) => boolean {
  const isNamed = (name: string, { labeler, labeler_group }: Label) =>
    labeler === name || (labeler_group !== undefined && `group=${labeler_group}` === name);
  const unknown = names.find((name) => !labels.some((label) => isNamed(name, label)));
  if (unknown !== undefined)
    throw new CliError(
      'CLI_DATA_UNFIT',
      `${path}: expected held-out labelers, or groups as group=NAME, got ${unknown}; there are labelers ${labelersOf(labels).join(', ')}`,
    );
  return (label) => names.some((name) => isNamed(name, label));
}

/** `feedback.recorded` allows these characters. */
const collectionOf = (file: string): string =>
  basename(file, extname(file))
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 100) || 'labels';
