import { ARTIFACT_TOPICS, liveArtifacts } from '@rlhf-streams/runs';
import { CliError } from '../errors.js';
import { isShared, openToLook, type Where } from '../place/where.js';

export interface CollectOptions extends Pick<Where, 'directory' | 'brokers'> {
  readonly graceMs: number;
  /** Only says what would be removed. */
  readonly dryRun: boolean;
}

/** On a shared log, a service may have put an artifact that no event names yet: this is time enough to publish it. */
const LEAST_SHARED_GRACE_MS = 60_000;

/**
 * Removes every artifact that no run needs.
 * @throws CliError CLI_GRACE_TOO_SHORT on a log that others may be using.
 */
export async function collectArtifacts({ graceMs, dryRun, ...where }: CollectOptions): Promise<void> {
  if (isShared(where) && graceMs < LEAST_SHARED_GRACE_MS) {
    throw new CliError(
      'CLI_GRACE_TOO_SHORT',
      `expected a grace period of at least 1m on a log that others may be using, got ${graceMs} ms`,
    );
  }
  const place = await openToLook(where);
  try {
    const live = await liveArtifacts(place.events.readAll(ARTIFACT_TOPICS));
    const { artifacts, blobs, bytes } = await place.artifacts.collect(live, { graceMs, dryRun });
    const gone = `${artifacts} artifacts and ${blobs} files of ${megabytes(bytes)}`;
    console.log(`${dryRun ? 'Would remove' : 'Removed'} ${gone}; ${live.length} artifacts are in use.`);
  } finally {
    await place.close();
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
