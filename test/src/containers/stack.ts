/** The containers of docker-compose.yml under a name of their own, beside any that a developer runs. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface Stack {
  /** The compose project, and the tag of the images. */
  readonly name: string;
  /** Runs `docker compose` with these arguments; resolves to what it wrote. @throws Error with its messages. */
  compose(...args: string[]): Promise<string>;
  /** Runs `docker` with these arguments. */
  docker(...args: string[]): Promise<string>;
  /** URL of the gateway; another one after each start of it. */
  gateway(): Promise<string>;
  /** Removes containers, volumes, networks and images. */
  remove(): Promise<void>;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
const remover = fileURLToPath(new URL('./remove.child.js', import.meta.url));
const COMMAND_TIMEOUT_MS = 900_000;
const OUTPUT_BYTES = 64 << 20;

/** Nothing is built, nor runs, yet. `files` is a folder that runs see as /files; `settings` are of docker-compose.yml. */
export function createStack(files: string, settings: Readonly<Record<string, string>> = {}): Stack {
  const name = `rlhf-streams-test-${randomBytes(4).toString('hex')}`;
  const env = {
    ...process.env,
    COMPOSE_PROJECT_NAME: name,
    RLHF_TAG: name,
    RLHF_FILES: files,
    GATEWAY_ADDRESS: '127.0.0.1:0',
    ...settings,
  };
  const docker = async (...args: string[]) => {
    const options = { cwd: root, env, timeout: COMMAND_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES };
    const { stdout } = await promisify(execFile)('docker', args, options);
    return stdout.trim();
  };
  const compose = (...args: string[]) => docker('compose', ...args);
  // Another process removes it, so that it goes also when this one is killed.
  const removal = spawn(process.execPath, [remover], {
    cwd: root,
    env,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const removed = once(removal, 'exit');
  return {
    name,
    compose,
    docker,
    gateway: async () => `http://${await compose('port', 'gateway', '8080')}`,
    remove: async () => {
      removal.stdin.end();
      const [code] = await removed;
      if (code !== 0) throw new Error(`expected ${name} to be removed: ${remover} exited with ${code}`);
    },
  };
}
