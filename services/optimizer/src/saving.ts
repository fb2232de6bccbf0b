/** From the compute thread's memory into the artifact store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import type { ArtifactRef } from '@rlhf-streams/events';

/** Lets `write` fill a folder that does not exist yet, and stores it. */
export async function store(
  artifacts: ArtifactStore,
  write: (directory: string) => Promise<void>,
): Promise<ArtifactRef> {
  const parent = await mkdtemp(join(tmpdir(), 'rlhf-streams-'));
  try {
    const directory = join(parent, 'artifact');
    await write(directory);
    return await artifacts.putDirectory(directory);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}
