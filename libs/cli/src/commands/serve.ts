import { serviceFailed } from '../errors.js';
import { type Platform, type ServiceName, startPlatform } from '../platform.js';

const ports: Readonly<Record<ServiceName, number>> = {
  gateway: 8080,
  policy: 8081,
  reward: 8082,
  reference: 8083,
  optimizer: 8084,
  coordinator: 8085,
};

/** Starts all services and waits for the signal. */
export async function serve(options: { directory: string; signal: AbortSignal }): Promise<void> {
  const platform = await startPlatform({
    directory: options.directory,
    environment: process.env,
    ports,
    logLevel: 'info',
  });
  try {
    for (const { name, url } of platform.services) console.log(`${name.padEnd(12)}${url}`);
    await untilStopped(platform, options.signal);
  } finally {
    await platform.close();
  }
}

function untilStopped({ failed }: Platform, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
    void failed.then(({ service, error }) => reject(serviceFailed(service, error)));
  });
}
