/**
 * What is kept of declared scorers on a machine: answers by the hash of what they depend on, and what was spent by name.
 * Both outlive the process, so that a restart asks for nothing twice and a cap stays reached.
 */
import { mkdirSync } from 'node:fs';
import { open } from 'lmdb';
import { ScorerError } from './errors.js';

/** What requests to a scorer took. */
export interface Spending {
  readonly requests: number;
  readonly tokens: number;
  readonly usd: number;
}
export type SpendingCap = { readonly [Name in keyof Spending]?: number | undefined };

export interface ScorerMemory {
  /** What was kept under the key, a value of JSON; undefined where nothing is known. */
  recall<Value>(key: string): Value | undefined;
  keep(key: string, value: unknown): Promise<void>;
  /**
   * Counts a request before it is made.
   * @throws ScorerError SCORER_CAP where the cap is reached: nothing is counted
   */
  begin(name: string, cap: SpendingCap | undefined): Promise<void>;
  /** Adds what an answer took; less than nothing of a request that was not served. */
  spend(name: string, more: Partial<Spending>): Promise<void>;
  close(): Promise<void>;
}

const NOTHING: Spending = { requests: 0, tokens: 0, usd: 0 };

/** Opens, or makes, a folder. Processes of one machine may share it. */
export function openMemory(directory: string): ScorerMemory {
  mkdirSync(directory, { recursive: true });
  const root = open({ path: directory, noSubdir: false, encoding: 'json' });
  const answers = root.openDB<unknown, string>({ name: 'answers' });
  const spent = root.openDB<Spending, string>({ name: 'spent' });
  const add = (name: string, more: Partial<Spending>, check?: (sofar: Spending) => void) =>
    spent.transaction(() => {
      const sofar = spent.get(name) ?? NOTHING;
      check?.(sofar);
      const { requests, tokens, usd } = sofar;
      spent.put(name, {
        requests: requests + (more.requests ?? 0),
        tokens: tokens + (more.tokens ?? 0),
        usd: usd + (more.usd ?? 0),
      });
    });
  return {
    recall: <Value>(key: string) => answers.get(key) as Value | undefined,
    keep: async (key, value) => {
      await answers.put(key, value);
    },
    begin: async (name, cap = {}) => {
      await add(name, { requests: 1 }, (sofar) => refuseBeyond(name, sofar, cap));
    },
    spend: async (name, more) => {
      await add(name, more);
    },
    close: () => root.close(),
  };
}

function refuseBeyond(name: string, spent: Spending, cap: SpendingCap): void {
  for (const [what, most] of Object.entries(cap) as [keyof Spending, number | undefined][])
    if (most !== undefined && spent[what] >= most)
      throw new ScorerError(
        'SCORER_CAP',
        `expected scorer ${name} to have spent less than ${most} ${what}, got ${spent[what]}: raise spending.${what} of its declaration`,
      );
}
