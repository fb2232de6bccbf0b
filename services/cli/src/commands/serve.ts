import { CliError, serviceFailed } from '../errors.js';
import { checkPorts, portsFrom } from '../serving.js';
import { table } from '../table.js';
import { environmentOf, openPlace, type Where } from '../where.js';

export interface ServeOptions extends Omit<Where, 'attach' | 'ports' | 'logLevel'> {
  /** The gateway's port; the other services listen at the ports after it. */
  readonly port: number;
  readonly signal: AbortSignal;
}

/** Starts all services and waits for the signal. */
export async function serve({ port, ...options }: ServeOptions): Promise<void> {
  const ports = portsFrom(port);
  await checkPorts(environmentOf(options).HOST || '127.0.0.1', ports);
  const place = await openPlace({ ...options, ports, logLevel: 'info' });
  try {
    console.log(place.description);
    console.log(table(place.addresses().map(({ name, url }) => [name, url])));
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
