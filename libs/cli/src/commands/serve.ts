import { CliError, serviceFailed } from '../errors.js';
import type { ServiceName } from '../service-names.js';
import { openPlace, type Where } from '../where.js';

const ports: Readonly<Record<ServiceName, number>> = {
  gateway: 8080,
  policy: 8081,
  reward: 8082,
  reference: 8083,
  optimizer: 8084,
  coordinator: 8085,
};

/** Starts all services and waits for the signal. */
export async function serve(
  options: Omit<Where, 'attach'> & { readonly signal: AbortSignal },
): Promise<void> {
  const place = await openPlace({ ...options, ports, logLevel: 'info' });
  try {
    console.log(place.description);
    for (const { name, url } of place.addresses()) console.log(`${name.padEnd(12)}${url}`);
    await new Promise<void>((resolve, reject) => {
      options.signal.addEventListener('abort', () => resolve(), { once: true });
      if (options.signal.aborted) resolve();
      void place.failed.then(({ service, error }) =>
        reject(error instanceof CliError ? error : serviceFailed(service, error)),
      );
    });
  } finally {
    await place.close();
  }
}
