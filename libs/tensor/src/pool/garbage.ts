import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// Contexts that are made from now on have `gc`.
setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Long enough for whoever disposes of a workspace to let go of it. */
const DELAY_MS = 1_000;
let planned = false;

/**
 * Collects the garbage of this thread in a moment. Memory that threads share counts for nothing when V8 decides whether to:
 * a thread that makes little else would keep that of workspaces which are gone for as long as it lives.
 */
export function collectGarbageSoon(): void {
  if (planned) return;
  planned = true;
  setTimeout(() => {
    planned = false;
    collect();
  }, DELAY_MS).unref();
}
