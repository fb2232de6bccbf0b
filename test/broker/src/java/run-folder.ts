import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInBackground } from '../background.js';

/** A shell script that cleans up when the pipe from its parent breaks, however the parent ended. */
const GUARD = `
cat >/dev/null
for file in "$1"/*/pid; do
  [ -f "$file" ] && kill -KILL "$(cat "$file")"
done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`;
const CLOSE_TIMEOUT_MS = 30_000;

/** A temporary folder that ends with this process, together with the brokers whose \`*\/pid\` files are in it. */
export interface RunFolder {
  readonly path: string;
  /** Kills the brokers and removes the folder. */
  close(): Promise<void>;
}

export async function openRunFolder(): Promise<RunFolder> {
  const path = await mkdtemp(join(await realpath(tmpdir()), 'rlhf-streams-kafka-'));
  const guard = await runInBackground('sh', ['-c', GUARD, 'sh', path], { stdin: 'pipe' });
  return {
    path,
    close: async () => {
      guard.stdin?.end();
      await guard.ended(CLOSE_TIMEOUT_MS);
    },
  };
}
