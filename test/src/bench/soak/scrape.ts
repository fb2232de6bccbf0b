/** What a service measures, from its /metrics. */

export interface Vitals {
  /** MiB of resident memory. */
  readonly memory: number;
  /** Timers and sockets that keep its event loop alive. */
  readonly resources: number;
  /** The lag of its consumer groups, in records. */
  readonly lag: number;
}

const TIMEOUT_MS = 5_000;
const MIB = 1024 * 1024;

export async function vitalsAt(url: string): Promise<Vitals> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = await response.text();
  return {
    memory: sum(text, 'process_resident_memory_bytes') / MIB,
    resources: sum(text, 'nodejs_active_resources'),
    lag: text.includes('\nconsumer_lag') ? sum(text, 'consumer_lag') : 0,
  };
}

/** The sum of all samples of a metric in Prometheus' text format. @throws Error when there is none that is a number. */
export function sum(text: string, metric: string): number {
  const sample = new RegExp(`^${metric}(?:\\{.*\\})? (\\S+)`, 'gm');
  const values = [...text.matchAll(sample)].map(([, value]) => Number(value));
  const total = values.reduce((all, value) => all + value, 0);
  if (values.length === 0 || Number.isNaN(total))
    throw new Error(`expected samples of ${metric}, got\n${text}`);
  return total;
}
