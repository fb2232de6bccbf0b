/** From the compute thread's memory into the artifact store. */
import { join } from 'node:path';
import type { ArtifactRef } from '@rlhf-streams/events';
import type { ServiceContext } from '@rlhf-streams/service';

/** Lets `write` fill a folder that does not exist yet, and stores it. */
export const store = (
  { artifacts, temporary }: Pick<ServiceContext, 'artifacts' | 'temporary'>,
  write: (directory: string) => Promise<void>,
): Promise<ArtifactRef> =>
  temporary.use(async (folder) => {
    const directory = join(folder, 'artifact');
    await write(directory);
    return artifacts.putDirectory(directory);
  });
