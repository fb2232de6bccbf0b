import { withDeadline } from '@rlhf-streams/waiting';
import { getContainerRuntimeClient, ImageName } from 'testcontainers';
import { KAFKA_VERSION } from '../version.js';

export const KAFKA_IMAGE = `apache/kafka:${KAFKA_VERSION}`;

const ENGINE_TIMEOUT_MS = 20_000;
const PULL_TIMEOUT_MS = 600_000;

/** Why no Docker engine answers; undefined where one does. */
export async function whyNoDockerEngine(): Promise<string | undefined> {
  try {
    await withDeadline(getContainerRuntimeClient(), { ms: ENGINE_TIMEOUT_MS, late: 'its answer' });
  } catch (error) {
    return `expected a Docker engine, but none answers: ${(error as Error).message}`;
  }
}

/** Why Docker cannot run Kafka here, having pulled the image if need be; undefined where it can. */
export async function whyNoDocker(): Promise<string | undefined> {
  const withoutEngine = await whyNoDockerEngine();
  if (withoutEngine !== undefined) return withoutEngine;
  const { image } = await getContainerRuntimeClient();
  try {
    const pulled = image.pull(ImageName.fromString(KAFKA_IMAGE), { force: false, platform: undefined });
    await withDeadline(pulled, { ms: PULL_TIMEOUT_MS, late: 'the whole image' });
  } catch (error) {
    return `expected Docker to pull ${KAFKA_IMAGE}, but: ${(error as Error).message}`;
  }
}
