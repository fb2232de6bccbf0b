/** What a replay with other hyperparameters differs in: what went in, and what came out. */
import type { Events } from '@rlhf-streams/bus';
import type { Change, RunConfig } from '@rlhf-streams/runs';
import { table } from '../table.js';

/** The settings that were changed, as they were in the run and as they are in its replay. */
export function changesTable(source: RunConfig, replay: RunConfig, changes: readonly Change[]): string {
  const paths = [...new Set(changes.map(([path]) => path))];
  const rows = paths.map((path) => [path, inWords(at(source, path)), inWords(at(replay, path))]);
  return table(rows, { head: ['setting', source.run, replay.run], right: [1, 2] });
}

/** Each metric, by its name, from the last step that reported it. */
export type LastMetrics = ReadonlyMap<string, { readonly step: number; readonly value: number }>;

export async function lastMetrics(events: Pick<Events, 'readAll'>, run: string): Promise<LastMetrics> {
  const last = new Map<string, { step: number; value: number }>();
  for await (const { data } of events.readAll(['training-metrics'])) {
    if (data.run !== run) continue;
    for (const [name, value] of Object.entries(data.metrics))
      if (data.step >= (last.get(name)?.step ?? 0)) last.set(name, { step: data.step, value });
  }
  return last;
}

/** How long the machine took, which says nothing of what was learned. */
const TIMINGS = 'timing_s/';

/** The metrics that both runs have, of their last steps, side by side. */
export function metricsTable(
  [run, before]: readonly [string, LastMetrics],
  [replay, after]: readonly [string, LastMetrics],
): string {
  const rows = [...before].flatMap(([name, { step, value }]) => {
    const other = after.get(name);
    if (!other || name.startsWith(TIMINGS)) return [];
    const steps = step === other.step ? `${step + 1}` : `${step + 1}, ${other.step + 1}`;
    return [[name, number(value), number(other.value), steps]];
  });
  return table(rows, { head: ['metric of the last step', run, replay, 'step'], right: [1, 2, 3] });
}

const at = (config: unknown, path: string): unknown =>
  path
    .split('.')
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], config);

const inWords = (value: unknown): string => (value === undefined ? 'not set' : String(value));

const number = (value: number): string => String(Number(value.toPrecision(5)));
