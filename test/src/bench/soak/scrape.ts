/** What a service says of itself at /metrics. */

export interface Vitals {
  /** MiB of resident memory. */
  readonly memory: number;
  /** Timers and sockets that keep its event loop alive. */
  readonly resources: number;
  /** Records its groups have before them. */
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
    lag: sum(text, 'consumer_lag'),
  };
}

/** Of all samples of a metric in Prometheus' text format. */
function sum(text: string, metric: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
    .reduce(
      (total, line) =>
        total +
        Number(
          line
            .slice(line.lastIndexOf('}') + 1)
            .trim()
            .split(' ')[0],
        ),
      0,
    );
}
