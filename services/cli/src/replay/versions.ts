/** The policy versions of two runs, compared by the SHA-256 of what they published. */
import type { Events } from '@rlhf-streams/bus';
import { modelKey } from '@rlhf-streams/events';
import { ARTIFACT_TOPICS, artifactRoles, publishedModel } from '@rlhf-streams/runs';

/** SHA-256 by version. */
export type Versions = ReadonlyMap<number, string>;

/** Every version of a run that the log still knows: compaction of `policy-versions` may have left only the newest. */
export async function versionsOf(events: Pick<Events, 'readAll'>, run: string): Promise<Versions> {
  const versions = new Map<number, string>();
  for await (const event of events.readAll(ARTIFACT_TOPICS)) {
    if (event.data.run !== run) continue;
    if (event.type === 'policy.published' || event.type === 'step.completed') {
      const model = publishedModel(event);
      if (model) versions.set(model.version, modelKey(model.model));
    } else if (event.type === 'run.started')
      versions.set(0, modelKey(event.data.models[artifactRoles.policy]!));
  }
  return versions;
}

export interface Comparison {
  readonly version: number;
  /** SHA-256 in the run; absent where the log no longer knows it, or the run did not publish it. */
  readonly before?: string;
  /** SHA-256 in the replay; absent where it did not publish the version. */
  readonly after?: string;
}

/** Compares version by version, in their order. */
export function compareVersions(before: Versions, after: Versions): Comparison[] {
  const numbers = [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a - b);
  return numbers.map((version) => {
    const [was, is] = [before.get(version), after.get(version)];
    return { version, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) };
  });
}

export const differs = ({ before, after }: Comparison): boolean => before !== undefined && before !== after;
