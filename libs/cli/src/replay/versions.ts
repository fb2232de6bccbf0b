/** The policy versions of two runs, compared by the SHA-256 of what they published. */
import type { Events } from '@rlhf-streams/runtime';
import { ARTIFACT_TOPICS, artifactRoles } from '@rlhf-streams/training/config';

/** SHA-256 by version. */
export type Versions = ReadonlyMap<number, string>;

/** Every version of a run that the log still tells of: `policy-versions` may have forgotten all but the newest. */
export async function versionsOf(events: Pick<Events, 'readAll'>, run: string): Promise<Versions> {
  const versions = new Map<number, string>();
  for await (const { type, data } of events.readAll(ARTIFACT_TOPICS)) {
    if (data.run !== run) continue;
    if (type === 'policy.published') versions.set(data.version, data.artifact.sha256);
    else if (type === 'step.completed' && data.published)
      versions.set(data.policyVersion, data.published.sha256);
    else if (type === 'run.started') versions.set(0, data.artifacts[artifactRoles.policy]!.sha256);
  }
  return versions;
}

export interface Comparison {
  readonly version: number;
  /** Absent where the log does not tell any more, or the run did not publish it. */
  readonly before?: string;
  /** Absent where the replay did not publish it. */
  readonly after?: string;
}

/** In the order of versions. */
export function compareVersions(before: Versions, after: Versions): Comparison[] {
  const numbers = [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a - b);
  return numbers.map((version) => {
    const [was, is] = [before.get(version), after.get(version)];
    return { version, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) };
  });
}

export const differs = ({ before, after }: Comparison): boolean => before !== undefined && before !== after;
