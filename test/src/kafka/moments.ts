/** Disturbances at moments of runs: each moment is a number of their events on the log. */
import type { RunConfigInput } from '@rlhf-streams/runs';
import type { Client } from 'rlhf-streams';
import { complete, factTopics } from './ledger.js';

export interface Moment {
  /** The number of different events of the runs on the log. */
  readonly facts: number;
  readonly act: (signal: AbortSignal) => Promise<void>;
}

/**
 * Does runs at once, and meets each moment, one after another, while they go on.
 * @throws Error when the runs end before the last moment; what a run or an act throws.
 */
export async function completeThrough(
  client: Client,
  configs: readonly RunConfigInput[],
  moments: readonly Moment[],
  timeoutMs: number,
): Promise<void> {
  const over = new AbortController();
  const runs = Promise.all(configs.map((config) => complete(client, config, timeoutMs)));
  const names = configs.map(({ run }) => run);
  const met = meet(client, names, moments, over.signal);
  try {
    await Promise.race([runs, met.then(() => runs)]);
  } finally {
    over.abort();
  }
  await met;
}

async function meet(
  { events }: Client,
  runs: readonly string[],
  moments: readonly Moment[],
  signal: AbortSignal,
): Promise<void> {
  const left = [...moments];
  const seen = new Set<string>();
  try {
    for await (const { type, id, data } of events.follow({ topics: factTopics, signal })) {
      if (!runs.includes(data.run)) continue;
      seen.add(`${type} ${id}`);
      for (; left[0] && seen.size >= left[0].facts; left.shift()) await left[0].act(signal);
      if (left.length === 0) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw new Error(`the runs ended before ${left.length} of ${moments.length} moments were over`);
}
