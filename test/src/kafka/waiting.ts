/** Waits of tests: for facts, and with an end. */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_MS = 100;
const TIMEOUT_MS = 90_000;

/** Looks again and again until what is found is neither undefined nor false. @throws Error naming `what`, after 90 s. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + TIMEOUT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`expected ${what} within ${TIMEOUT_MS} ms`);
    await delay(LOOK_MS);
  }
}
