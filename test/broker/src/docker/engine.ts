import { getContainerRuntimeClient, ImageName } from 'testcontainers';
import { withDeadline } from '../deadline.js';
import { KAFKA_VERSION } from '../version.js';

export const KAFKA_IMAGE = `apache/kafka:${KAFKA_VERSION}`;

const ENGINE_TIMEOUT_MS = 20_000;
const PULL_TIMEOUT_MS = 600_000;

/** Why no Docker engine answers; undefined where one does. */
export async function whyNoDockerEngine(): Promise<string | undefined> {
  try {
    const late = new Error(`nothing came within ${ENGINE_TIMEOUT_MS / 1000} s`);
    await withDeadline(getContainerRuntimeClient(), ENGINE_TIMEOUT_MS, late);
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
    await withDeadline(pulled, PULL_TIMEOUT_MS, new Error(`it took over ${PULL_TIMEOUT_MS / 60_000} min`));
  } catch (error) {
    return `expected Docker to pull ${KAFKA_IMAGE}, but: ${(error as Error).message}`;
  }
}
