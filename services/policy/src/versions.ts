/** The models of a run's versions, older ones too. */
import { runEvents } from '@rlhf-streams/archive';
import type { Projection } from '@rlhf-streams/bus';
import type { ModelRef } from '@rlhf-streams/events';
import { artifactRoles, type PublishedVersion, publishedModel, type RunView } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';

/** A run has published no version of the number that was asked for. */
class PolicyVersionError extends Error {
  readonly code = 'POLICY_VERSION_UNKNOWN';
}

/** Versions that are looked for again are found at once, as many as these. */
const MOST_REMEMBERED = 1000;

export interface Versions {
  /** @throws PolicyVersionError, naming the versions that there are; what reading the log throws. */
  find(run: string, version: number, signal: AbortSignal): Promise<ModelRef>;
}

export function findVersions(
  context: Pick<ServiceContext, 'events' | 'artifacts'>,
  runs: Projection<RunView>,
  versions: Projection<PublishedVersion>,
): Versions {
  const found = new Map<string, ModelRef>();
  return {
    async find(run, version, signal) {
      const view = runs.state.get(run);
      const newest = versions.state.get(run);
      if (version === newest?.version) return newest.model;
      const initial = view?.models?.[artifactRoles.policy];
      if (version === 0 && initial) return initial;
      const name = `${run}@${version} of ${view?.requestOffset}`;
      const known = found.get(name);
      if (known) return known;
      const all = new Set<number>([...(initial ? [0] : [])]);
      // Steps tell of all versions, also where `policy-versions` was compacted.
      const topics = ['policy-versions', 'training-metrics'] as const;
      for await (const event of view ? runEvents(context, view, topics, { signal }) : []) {
        const published = event.data.run === run ? publishedModel(event) : undefined;
        if (!published) continue;
        all.add(published.version);
        if (published.version !== version) continue;
        found.set(name, published.model);
        for (const oldest of [...found.keys()].slice(0, -MOST_REMEMBERED)) found.delete(oldest);
        return published.model;
      }
      throw new PolicyVersionError(
        `expected a version that run ${run} has published, of which there are ${[...all].slice(-20).join(', ') || 'none'}; got ${version}`,
      );
    },
  };
}
