/** Accounts for every row of a dataset: it is used, cut or dropped for a reason, and few rows may be lost. */
import { splitTrainTest } from '@rlhf-streams/data';
import type { DataAccount } from '@rlhf-streams/events';
import {
  dataSpecOf,
  HELD_OUT_SURPLUS,
  type RunConfig,
  type RunItem,
  sourceText,
  specOf,
} from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';

/** Why a row is left out, or cut. */
export interface Reason {
  readonly words: string;
  /** Whether information is lost, so that the row counts towards `allow`. Dropping a duplicate or a tie loses none. */
  readonly lost: boolean;
  /** What would keep such rows whole. */
  readonly help?: string;
  /** Said instead when every row is left out for this reason. */
  readonly ofAll?: string;
}

/** What a row became: an item, cut or whole, or nothing. */
export type Outcome<Item> =
  | {
      readonly item: Item;
      readonly cut?: Reason | undefined;
      /**
       * What decides whether it is held out, where that is less than the item: runs over the same data with the same
       * fraction hold out the same rows, whatever goes along with them.
       */
      readonly decides?: object | undefined;
      /** What is to be known of it. */
      readonly notes?: readonly string[] | undefined;
    }
  | { readonly dropped: Reason };

/** A run's items, and the account of the rows that they are made of. */
export interface PreparedItems {
  readonly items: readonly RunItem[];
  readonly data: DataAccount;
}

type InSplit<Item> = Item & { split: 'train' | 'test' };

/** Counts of rows by the words of their reason. */
type Tally = Map<string, { readonly reason: Reason; rows: number }>;

/** Fixed, so that all runs over the same data with the same fraction hold out the same rows. */
const SPLIT_SEED = 0;
const SURPLUS: Reason = { words: HELD_OUT_SURPLUS, lost: false };

/** A dataset of a run: the main one has no name. */
export interface OfDataset {
  readonly config: RunConfig;
  readonly dataset?: string | undefined;
  /** What is to be known of all of its rows. */
  readonly note?: string;
}

/**
 * Makes the rows of a dataset into items, split into training and test, and accounts for the rows: `used` is the number
 * of items.
 * @throws CoordinatorError RUN_DATA_LOST when more is lost than the run allows, RUN_DATA_EMPTY when nothing is left.
 */
export function accountFor<Item extends object>(
  of: OfDataset,
  rows: readonly Outcome<Item>[],
): { items: InSplit<Item>[]; data: DataAccount } {
  const kept: Item[] = [];
  /** Items by what decides which of them are held out. */
  const deciding = new Map<object, Item>();
  const cutItems = new Set<object>();
  const notes = new Map<object, readonly string[]>();
  const dropped: Tally = new Map();
  const cut: Tally = new Map();
  for (const row of rows) {
    if ('dropped' in row) {
      count(dropped, row.dropped);
      continue;
    }
    kept.push(row.item);
    deciding.set(row.decides ?? row.item, row.item);
    if (row.notes || of.note !== undefined)
      notes.set(row.item, [...(of.note === undefined ? [] : [of.note]), ...(row.notes ?? [])]);
    if (row.cut) {
      cutItems.add(row.item);
      count(cut, row.cut);
    }
  }
  if (kept.length === 0) throw nothingLeft(of, rows.length, dropped);
  requireAllowed(of, rows.length, { dropped, cut });

  const parts = splitTrainTest([...deciding.keys()], {
    testFraction: testFractionOf(of),
    seed: SPLIT_SEED,
  });
  const itemsIn = (part: readonly object[]) => part.map((each) => deciding.get(each)!);
  const [train, test] = [itemsIn(parts.train), itemsIn(parts.test)];
  const data = dataOf(of);
  const heldOut = data.kind === 'prompts' ? test : test.slice(0, data.maxTestItems);
  if (heldOut.length < test.length) count(dropped, SURPLUS, test.length - heldOut.length);
  requireItems(of, train, heldOut);
  const noted: Record<string, number> = {};
  for (const item of [...train, ...heldOut])
    for (const note of notes.get(item) ?? []) noted[note] = (noted[note] ?? 0) + 1;
  return {
    items: [
      ...train.map((item) => ({ ...item, split: 'train' as const })),
      ...heldOut.map((item) => ({ ...item, split: 'test' as const })),
    ],
    data: {
      read: rows.length,
      used: train.length + heldOut.length,
      cut: [...train, ...heldOut].filter((item) => cutItems.has(item)).length,
      dropped: Object.fromEntries([...dropped].map(([words, { rows }]) => [words, rows])),
      ...(notes.size > 0 && { noted }),
    },
  };
}

function count(tally: Tally, reason: Reason, rows = 1): void {
  const known = tally.get(reason.words);
  if (known) known.rows += rows;
  else tally.set(reason.words, { reason, rows });
}

const dataOf = ({ config, dataset }: OfDataset) => dataSpecOf(specOf(config), dataset);

const streamsOf = ({ config, dataset }: OfDataset) =>
  specOf(config).streams.filter((stream) => stream.dataset === dataset);

/** The share that is held out: of a further dataset, only where a stream draws from it. */
const testFractionOf = (of: OfDataset): number =>
  of.dataset === undefined || streamsOf(of).some(({ split }) => split === 'test')
    ? of.config.testFraction
    : 0;

function requireAllowed(
  of: OfDataset,
  read: number,
  tallies: { readonly dropped: Tally; readonly cut: Tally },
): void {
  const { allow } = of.config;
  const over = (['dropped', 'cut'] as const).flatMap((name) => {
    const lost = [...tallies[name].values()].filter(({ reason }) => reason.lost);
    const rows = lost.reduce((sum, { rows }) => sum + rows, 0);
    return rows / read > allow[name] ? [{ name, lost, rows }] : [];
  });
  if (over.length === 0) return;
  const said = over.map(({ name, lost, rows }) => {
    const share = `${percent(rows / read)} where ${percent(allow[name])} may be`;
    return `${rows} of the ${read} rows of ${sourceOf(of)} would be ${name}, ${share}: ${listed(lost)}`;
  });
  const help = new Set(over.flatMap(({ lost }) => lost.flatMap(({ reason }) => reason.help ?? [])));
  const accepted = over.map(({ name, rows }) => `${name}: ${Math.ceil((rows / read) * 100) / 100}`);
  throw new CoordinatorError(
    'RUN_DATA_LOST',
    `${said.join('; ')}; ${[...help, `accept it with allow: { ${accepted.join(', ')} }`].join(', or ')}`,
  );
}

function nothingLeft(of: OfDataset, read: number, dropped: Tally): CoordinatorError {
  const reasons = [...dropped.values()];
  const why = (reasons.length === 1 && reasons[0]!.reason.ofAll) || listed(reasons);
  const help = new Set(reasons.flatMap(({ reason }) => reason.help ?? []));
  return new CoordinatorError(
    'RUN_DATA_EMPTY',
    `expected rows to use, but none of the ${read} rows of ${sourceOf(of)} is left: ${[why, ...help].join('; ')}`,
  );
}

function requireItems(of: OfDataset, train: readonly unknown[], test: readonly unknown[]): void {
  if (train.length === 0) {
    throw new CoordinatorError(
      'RUN_DATA_EMPTY',
      'expected items to train on, but all are held out: lower testFraction',
    );
  }
  // Without a schedule, every step draws from a stream.
  const isAskedFor = streamsOf(of).some(
    ({ split, schedule }) => split === 'test' && (!schedule || schedule.every !== undefined),
  );
  if (isAskedFor && test.length === 0) {
    const what = dataOf(of).kind === 'prompts' ? 'prompts' : 'items';
    throw new CoordinatorError(
      'RUN_DATA_EMPTY',
      `expected ${what} held out of training, got none: raise testFraction`,
    );
  }
}

/** The source of the data, as the configuration names it. */
const sourceOf = (of: OfDataset): string => sourceText(dataOf(of).source);

const listed = (reasons: readonly { readonly reason: Reason; readonly rows: number }[]): string =>
  reasons.map(({ reason, rows }) => `${reason.words} (${rows})`).join(', ');

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
