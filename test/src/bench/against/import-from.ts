import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Imports a package as the tests of the checkout in `root` would. */
export async function importFrom<Module>(root: string, name: string): Promise<Module> {
  const { resolve } = createRequire(join(root, 'test', 'package.json'));
  return import(pathToFileURL(resolve(name)).href);
}

/** Imports a module of the bench of the checkout in `root`. */
export const importBench = <Module>(root: string, name: string): Promise<Module> =>
  import(pathToFileURL(join(root, 'test', 'dist', 'bench', name)).href);
