/** What stands on a log of runs, and what must not. */
import { isDeepStrictEqual } from 'node:util';
import { modelKey, type TopicName } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { type Client, followRun, requestRun, startPlatform } from 'rlhf-streams';
import { type Outcome, outcomeOf } from '../platform/outcome.js';
import { oneThread } from '../platform/tiny-runs.js';

export interface Ledger extends Outcome {
  /** The versions of each run as the log has them, one after another: `number sha256`. */
  readonly versions: Readonly<Record<string, readonly string[]>>;
  /** Different events of each run. */
  readonly facts: Readonly<Record<string, number>>;
}

/** Topics on which runs put the same events, whichever replicas do the work and however often. */
export const factTopics = [
  'prompts',
  'rollouts',
  'rewards',
  'reference-logprobs',
  'demonstrations',
  'comparisons',
  'policy-versions',
  'training-metrics',
] as const satisfies readonly TopicName[];

/** @throws Error when work that was done twice came to different things. */
export async function ledgerOf(client: Client): Promise<Ledger> {
  const versions: Record<string, string[]> = {};
  const facts: Record<string, number> = {};
  const seen = new Map<string, unknown>();
  for await (const { type, id, data } of client.events.readAll(factTopics)) {
    if (type === 'policy.published') {
      versions[data.run] ??= [];
      versions[data.run]!.push(`${data.version} ${modelKey(data.model)}`);
    }
    const fact = `${type} ${id}`;
    if (!seen.has(fact)) facts[data.run] = (facts[data.run] ?? 0) + 1;
    else if (!isDeepStrictEqual(seen.get(fact), data))
      throw new Error(
        `expected ${fact} to be the same each time, got ${JSON.stringify([seen.get(fact), data])}`,
      );
    seen.set(fact, data);
  }
  return { ...(await outcomeOf(client)), versions, facts };
}

/** @throws the run's cause when it fails; a TimeoutError. */
export async function complete(client: Client, config: RunConfigInput, timeoutMs = 120_000): Promise<void> {
  await requestRun(client, config);
  await followRun(client, config.run, {}, AbortSignal.timeout(timeoutMs));
}

export async function completeInTurn(client: Client, runs: readonly RunConfigInput[]): Promise<void> {
  for (const config of runs) await complete(client, config);
}

/** What comes of runs in one process, on the embedded log, that nobody disturbs. */
export async function undisturbed(directory: string, runs: readonly RunConfigInput[]): Promise<Ledger> {
  const platform = await startPlatform({
    directory,
    logLevel: 'error',
    environment: { ...oneThread, RLHF_OPTIMIZER_WORKERS: '2' },
  });
  try {
    await completeInTurn(platform, runs);
    return await ledgerOf(platform);
  } finally {
    await platform.close();
  }
}
