/** Policies by reference: which version of a run is the newest, and its weights in every compute thread. */
import type { DataFor } from '@rlhf-streams/events';
import type { Projection, ServiceContext } from '@rlhf-streams/runtime';
import { spawn, type Thread } from '@rlhf-streams/threads';
import type { PolicyThread, Sampled, ThreadOptions, Work } from './thread.js';

export type PublishedPolicy = DataFor<'policy.published'>;

export interface Policies {
  readonly versions: Projection<PublishedPolicy>;
  /** Waits for version `least` of a run, or a newer one, and for its weights to be loaded. */
  newest(run: string, least: number, timeoutMs: number, signal: AbortSignal): Promise<LoadedPolicy>;
}

export interface LoadedPolicy {
  readonly version: number;
  generate(work: Work): Promise<Sampled>;
  encode(text: string): ReturnType<PolicyThread['encode']>;
}

/** Versions of a run kept in memory: the newest, and one that requests may still be using. */
const KEPT_VERSIONS = 2;

export function createPolicies(
  context: ServiceContext,
  options: ThreadOptions & { threads: number },
): Policies {
  const versions = context.project<'policy-versions', PublishedPolicy>({
    topics: ['policy-versions'],
    apply: (state, { data }) => {
      if (data.version >= (state.get(data.run)?.version ?? 0)) state.set(data.run, data);
    },
  });
  const threads = Array.from({ length: options.threads }, (_, i) => {
    const thread = spawn<PolicyThread>(new URL('./thread.js', import.meta.url), {
      name: `policy-${i}`,
      data: { slots: options.slots } satisfies ThreadOptions,
    });
    thread.died.catch(context.fail);
    context.onStop(() => thread.close(), `compute thread policy-${i}`);
    return { thread, pending: 0 };
  });
  const loads = new Map<string, Promise<LoadedPolicy>>();

  const load = async (policy: PublishedPolicy): Promise<LoadedPolicy> => {
    const key = `${policy.run}@${policy.version}`;
    const directory = await context.artifacts.fetch(policy.artifact);
    await Promise.all(threads.map(({ thread }) => thread.call.load(key, directory)));
    context.logger.debug({ run: policy.run, version: policy.version }, 'policy loaded');
    return {
      version: policy.version,
      generate: async (work) => {
        const least = threads.reduce((a, b) => (b.pending < a.pending ? b : a));
        least.pending++;
        try {
          return await least.thread.call.generate(key, work);
        } finally {
          least.pending--;
        }
      },
      encode: (text) => (threads[0]!.thread as Thread<PolicyThread>).call.encode(key, text),
    };
  };

  const loaded = (policy: PublishedPolicy): Promise<LoadedPolicy> => {
    const key = `${policy.run}@${policy.version}`;
    const known = loads.get(key);
    if (known) return known;
    const loading = load(policy);
    loads.set(key, loading);
    loading.catch(() => loads.delete(key));
    const older = [...loads.keys()]
      .filter((other) => other.startsWith(`${policy.run}@`))
      .slice(0, -KEPT_VERSIONS);
    for (const old of older) {
      loads.delete(old);
      for (const { thread } of threads) thread.call.unload(old).catch(context.fail);
    }
    return loading;
  };

  return {
    versions,
    newest: async (run, least, timeoutMs, signal) => {
      const policy = await versions.waitFor(
        (state) => {
          const newest = state.get(run);
          return newest !== undefined && newest.version >= least && newest;
        },
        { timeoutMs, what: `version ${least} of run ${run} on policy-versions`, signal },
      );
      return loaded(policy);
    },
  };
}
