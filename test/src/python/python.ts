/** A Python with the libraries that it is asked for, where there is one. */
import { execFile, spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Named in RLHF_PYTHON, or the one on the path. */
export const python = process.env.RLHF_PYTHON || 'python3';
const scripts = fileURLToPath(new URL('../../python', import.meta.url));

/**
 * What keeps `npm run test:python` from running, and what to do; undefined where nothing does.
 * @throws when something does and `REQUIRE_PYTHON` is 1
 */
export function missingForPython(): string | undefined {
  const missing = missingLibraries(['torch', 'transformers', 'peft', 'trl', 'datasets']);
  if (missing === undefined) return undefined;
  const needs = `needs ${missing}: pip install -r test/python/requirements.txt, and name that Python in RLHF_PYTHON`;
  if (process.env.REQUIRE_PYTHON === '1') throw new Error(`Interoperation with Python ${needs}.`);
  return needs;
}

/** Which of these libraries Python lacks, or Python itself; undefined where nothing is missing. */
export function missingLibraries(libraries: readonly string[]): string | undefined {
  const find = `import importlib.util as u; print(*[n for n in ${JSON.stringify(libraries)} if u.find_spec(n) is None])`;
  const { status, stdout } = spawnSync(python, ['-c', find], { encoding: 'utf8' });
  const missing = status === 0 ? stdout.trim().replaceAll(' ', ', ') : python;
  return missing === '' ? undefined : missing;
}

/** Runs a script on a request; its files go into `directory`. */
export async function askPython<Answer>(
  directory: string,
  script: 'interop.py' | 'checkpoints.py',
  request: unknown,
): Promise<Answer> {
  const [source, target] = [join(directory, 'request.json'), join(directory, 'answer.json')];
  await writeFile(source, JSON.stringify(request));
  const env = {
    ...process.env,
    HF_HUB_OFFLINE: '1',
    HF_HOME: join(directory, 'hub'),
    TOKENIZERS_PARALLELISM: 'false',
  };
  await promisify(execFile)(python, [join(scripts, script), source, target], { env, maxBuffer: 2 ** 28 });
  return JSON.parse(await readFile(target, 'utf8')) as Answer;
}
