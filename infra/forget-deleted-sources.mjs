import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The compiler leaves the output of deleted files behind: old tests would go on running. A package's sources are in `src`,
 * but for the folders beside it that it compiles too, as `examples`.
 */
export function forgetDeletedSources(root) {
  const folders = ['libs', 'services'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => join(root, parent, name)),
  );
  for (const folder of [...folders, join(root, 'test'), join(root, 'test', 'broker')]) {
    const dist = join(folder, 'dist');
    if (!existsSync(dist)) continue;
    for (const file of readdirSync(dist, { recursive: true })) {
      if (!file.endsWith('.js')) continue;
      const source = file.replace(/\.js$/, '.ts');
      if (!existsSync(join(folder, 'src', source)) && !existsSync(join(folder, source)))
        rmSync(join(dist, file));
    }
  }
}
