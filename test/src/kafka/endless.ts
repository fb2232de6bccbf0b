/** Runs that go on until a test has seen enough, and what came of them by then. */
import type { RunConfigInput } from '@rlhf-streams/runs';
import { type Client, requestRun, startPlatform } from 'rlhf-streams';
import { oneThread } from '../platform/tiny-runs.js';
import { ledgerOf } from './ledger.js';
import { until } from './waiting.js';

/** Steps enough to go on for an hour. */
export const ENDLESS = 1_000_000;

/** Starts runs, lets `watch` see them go on, and cancels them. */
export async function whileGoing(
  client: Client,
  configs: readonly RunConfigInput[],
  watch: () => Promise<void>,
): Promise<void> {
  for (const config of configs) await requestRun(client, config);
  try {
    await watch();
  } finally {
    await client.events.publish(
      configs.map(({ run }) => ({
        type: 'run.cancelled' as const,
        id: `${run}/cancelled`,
        data: { run, reason: 'the test has seen enough' },
      })),
    );
  }
}

/** The newest version of each run. */
async function newestVersions({ events }: Client): Promise<Map<string, number>> {
  const newest = new Map<string, number>();
  for await (const { data } of events.readAll(['policy-versions'])) newest.set(data.run, data.version);
  return newest;
}

/** Waits until every one of these runs has published `count` more versions than it has by now. */
export async function goOn(client: Client, configs: readonly RunConfigInput[], count = 2): Promise<void> {
  const before = await newestVersions(client);
  await until(`${count} more versions of ${configs.map(({ run }) => run).join(', ')}`, async () => {
    const newest = await newestVersions(client);
    return configs.every(({ run }) => (newest.get(run) ?? -1) >= (before.get(run) ?? -1) + count);
  });
}

/** The versions that runs publish first, undisturbed in one process: as many of each as asked for. */
export async function firstVersions(
  directory: string,
  configs: readonly RunConfigInput[],
  counts: Readonly<Record<string, number>>,
): Promise<Record<string, readonly string[]>> {
  const platform = await startPlatform({
    directory,
    logLevel: 'error',
    environment: { ...oneThread, RLHF_OPTIMIZER_WORKERS: '2' },
  });
  try {
    await whileGoing(platform, configs, async () => {
      const left = new Map(Object.entries(counts));
      for await (const { data } of platform.events.follow({ topics: ['policy-versions'] })) {
        if (data.version + 1 >= left.get(data.run)!) left.delete(data.run);
        if (left.size === 0) return;
      }
    });
    const { versions } = await ledgerOf(platform);
    return Object.fromEntries(
      Object.entries(versions).map(([run, known]) => [run, known.slice(0, counts[run])]),
    );
  } finally {
    await platform.close();
  }
}
