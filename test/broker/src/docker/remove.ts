import { getContainerRuntimeClient } from 'testcontainers';

/** What a cluster consists of in Docker, by name; the network has the cluster's. */
export interface DockerNames {
  readonly network: string;
  readonly containers: readonly string[];
}

/** Ends and removes the containers with their data, then the network; without effect on what is not there. */
export async function removeFromDocker({ network, containers }: DockerNames): Promise<void> {
  const client = await getContainerRuntimeClient();
  await Promise.all(
    containers.map((name) =>
      client.container.getById(name).remove({ force: true, v: true }).catch(unlessGone),
    ),
  );
  await client.network.getById(network).remove().catch(unlessGone);
}

function unlessGone(error: unknown): void {
  if ((error as { statusCode?: number }).statusCode !== 404) throw error;
}
