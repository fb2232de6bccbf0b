/** Which version of a run's policy answers: the newest that this replica has applied. */
import { isUnavailable, type Projection, RuntimeError } from '@rlhf-streams/bus';
import type { ModelRef } from '@rlhf-streams/events';
import {
  applyRunEvent,
  applyVersion,
  hasEnded,
  type PublishedVersion,
  type RunView,
  trainsWhole,
} from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import type { ModelHost } from '@rlhf-streams/serving';
import { type Follower, followVersions, type LoadedPolicy, type Trouble } from './follower.js';
import type { PolicyHosts, PolicyModel } from './models.js';
import { createReports, projectReplicas } from './replicas.js';
import { findVersions } from './versions.js';
import { createWatch } from './watch.js';

export interface Policies {
  readonly runs: Projection<RunView>;
  /** The newest version of each run. */
  readonly versions: Projection<PublishedVersion>;
  /**
   * Works with the newest version of a run that is applied, which is `least` or later. The first call begins to follow
   * the run: until it ends, each of its versions is fetched when it is published.
   * @throws DeadlineError RUNTIME_DEADLINE when `least` is not published in time; RuntimeError RUNTIME_UNAVAILABLE when
   *   it cannot be applied for now, or the run has ended.
   */
  use<T>(run: string, least: number, options: UseOptions, work: Use<T>): Promise<T>;
  /**
   * Works with the newest version of any run, one that has ended too. When a running run's newest version cannot be
   * applied for now, the version applied before it is used.
   * @throws as `use` does; for a run that has ended, as `ModelHost.use` does.
   */
  useNewest<T>(run: string, options: UseOptions, work: Use<T>): Promise<T>;
  /**
   * Works with a version that a run published, 0 being what it started from.
   * @throws POLICY_VERSION_UNKNOWN where it has published none of this number; as `ModelHost.use` does.
   */
  useVersion<T>(run: string, version: number, signal: AbortSignal, work: Use<T>): Promise<T>;
  /** Works with a model that no version replaces. @throws as `ModelHost.use` does. */
  useFixed<T>(model: ModelRef, work: (policy: PolicyModel) => Promise<T>): Promise<T>;
  /** Why runs are behind, one entry for each run whose newest version could not be applied. */
  troubles(): Trouble[];
  /** Resolves when this replica failed `failures` times to apply a version, and another one has applied a newer version. */
  outrun(failures: number, signal: AbortSignal): Promise<void>;
  /** Resolves when this replica is behind in no run in which another one has applied a newer version. */
  recovered(signal: AbortSignal): Promise<void>;
}

type Use<T> = (policy: LoadedPolicy) => Promise<T>;

interface UseOptions {
  /** Milliseconds to wait for a version to be published. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface PoliciesOptions {
  readonly hosts: PolicyHosts;
  /** The id of this replica. */
  readonly replica: string;
  /** Milliseconds between a failed attempt to apply a version and the next, doubled each time up to 30 s. */
  readonly pauseMs: number;
}

export function createPolicies(context: ServiceContext, options: PoliciesOptions): Policies {
  const { fail, project, signal: stopping } = context;
  const { hosts, replica, pauseMs } = options;
  const followers = new Map<string, Follower>();
  const watch = createWatch();

  const runs = project<'runs', RunView>({
    topics: ['runs'],
    apply: (state, event) => {
      applyRunEvent(state, event);
      const { run } = event.data;
      if (followers.has(run) && isOver(state.get(run))) leave(run);
    },
  });
  const versions = project<'policy-versions', PublishedVersion>({
    topics: ['policy-versions'],
    apply: applyVersion,
  });
  const replicas = projectReplicas(context, watch.changed);
  const report = createReports(context, replica);

  const hostOf = (run: string): ModelHost<PolicyModel> => {
    const config = runs.state.get(run)?.config;
    return config && !trainsWhole(config) ? hosts.frozen : hosts.versions;
  };

  const publishedBy = findVersions(context, runs, versions);

  const follow = (run: string): Follower => {
    const known = followers.get(run);
    if (known) return known;
    if (isOver(runs.state.get(run))) throw new RuntimeError('RUNTIME_UNAVAILABLE', `run ${run} has ended`);
    const follower = followVersions({
      run,
      versions,
      host: hostOf(run),
      report,
      onChange: watch.changed,
      signal: stopping,
      fail,
      pauseMs,
    });
    followers.set(run, follower);
    return follower;
  };
  const leave = (run: string) => {
    const follower = followers.get(run);
    followers.delete(run);
    follower?.stop();
  };

  const published = (run: string, least: number, { timeoutMs, signal }: UseOptions) =>
    versions.waitFor(
      (state) => {
        const newest = state.get(run);
        return newest && newest.version >= least && newest;
      },
      { timeoutMs, what: `version ${least} of run ${run} on policy-versions`, signal },
    );

  const troubles = () => [...followers.values()].flatMap(({ trouble }) => trouble ?? []);
  const isOutrun = ({ run, applied = -1 }: Trouble) =>
    [...replicas.state.values()].some(
      (other) => other.replica !== replica && other.run === run && (other.applied ?? -1) > applied,
    );

  return {
    runs,
    versions,
    async use(run, least, useOptions, work) {
      await published(run, least, useOptions);
      return follow(run).use(least, useOptions.signal, work);
    },
    async useNewest(run, useOptions, work) {
      const { version } = await published(run, 0, useOptions);
      try {
        if (!isOver(runs.state.get(run))) {
          const follower = follow(run);
          const least = follower.trouble?.applied ?? version;
          return await follower.use(least, useOptions.signal, work);
        }
      } catch (error) {
        // The run may have ended meanwhile: its follower is gone then.
        if (!isUnavailable(error) || !isOver(runs.state.get(run))) throw error;
      }
      const last = versions.state.get(run)!;
      return hostOf(run).use(last.model, (model) => work({ ...model, version: last.version }));
    },
    async useVersion(run, version, signal, work) {
      const model = await publishedBy.find(run, version, signal);
      return hostOf(run).use(model, (policy) => work({ ...policy, version }));
    },
    useFixed: hosts.frozen.use,
    troubles,
    outrun: async (failures, signal) => {
      const isLost = (trouble: Trouble) => trouble.failures >= failures && isOutrun(trouble);
      await watch.until(() => troubles().some(isLost), signal);
    },
    recovered: async (signal) => {
      await watch.until(() => !troubles().some(isOutrun), signal);
    },
  };
}

const isOver = (view: RunView | undefined): boolean => view !== undefined && hasEnded(view);
