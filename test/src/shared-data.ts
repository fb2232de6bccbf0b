/** Real text and preferences that lie beside the checkout, for those who have them: they are not a part of it. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** @returns the folder of that name in `shared/data`, beside the checkout, if there is one */
export function sharedData(name: string): string | undefined {
  const folder = resolve(import.meta.dirname, '../../../shared/data', name);
  return existsSync(folder) ? folder : undefined;
}
