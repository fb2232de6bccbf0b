/** The build of this process, stamped into runs and checkpoints, so that a run that goes on under another build says so. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Build } from '@rlhf-streams/events';

type Code = Pick<Build, 'version' | 'code' | 'revision'>;

const repository = fileURLToPath(new URL('../../..', import.meta.url));
/** Where an image, which has no sources, keeps what `codeOf` said when it was packed. */
const stamp = fileURLToPath(new URL('./build.json', import.meta.url));

/** Computed when the process begins: before it ends, another build may be on the disk. */
const code = codeOfThisProcess();

/**
 * The build of this process: of its sources in a checkout, of its stamp in an image, else of its package's version.
 * @param onnxruntime version of ONNX Runtime, given by services that compute with it
 */
export const thisBuild = (onnxruntime?: string): Build => ({
  ...code,
  ...(onnxruntime !== undefined && { onnxruntime }),
  platform: `${process.platform}-${process.arch}`,
});

function codeOfThisProcess(): Code {
  if (existsSync(stamp)) return JSON.parse(readFileSync(stamp, 'utf8')) as Code;
  if (existsSync(join(repository, 'libs', 'service', 'src'))) return codeOf(repository);
  return { version: versionOf(new URL('../package.json', import.meta.url)) };
}

/**
 * Version and hash of the code in a checkout: of every package's package.json, which pins what it depends on, and of
 * its sources but for tests. Git has no part in it: an edited checkout is another build, and the same sources in
 * another place are the same.
 */
export function codeOf(root: string): Code {
  const hash = createHash('sha256');
  for (const file of sourcesOf(root)) {
    const bytes = readFileSync(join(root, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  return {
    version: versionOf(join(root, 'libs', 'service', 'package.json')),
    code: hash.digest('hex').slice(0, 12),
  };
}

/** Relative to the root, with `/`, in the order of their code units. */
function sourcesOf(root: string): string[] {
  const packages = ['libs', 'services'].flatMap((kind) =>
    readdirSync(join(root, kind)).map((name) => `${kind}/${name}`),
  );
  const files = packages
    .filter((folder) => existsSync(join(root, folder, 'package.json')))
    .flatMap((folder) => {
      const sources = readdirSync(join(root, folder, 'src'), { recursive: true, encoding: 'utf8' });
      const own = sources.map((name) => name.replaceAll('\\', '/')).filter(isSource);
      return [`${folder}/package.json`, ...own.map((name) => `${folder}/src/${name}`)];
    });
  return files.sort();
}

function isSource(name: string): boolean {
  return name.endsWith('.ts') && !name.includes('.test.');
}

function versionOf(path: string | URL): string {
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
