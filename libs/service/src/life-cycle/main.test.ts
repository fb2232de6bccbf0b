import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

let folder: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'entry-'));
});
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

function run(
  environment: Record<string, string> = {},
  ...channel: 'ipc'[]
): {
  readonly line: Promise<string>;
  readonly exit: Promise<unknown[]>;
  readonly errors: Promise<string>;
} {
  const path = fileURLToPath(new URL('./greeter.test.child.js', import.meta.url));
  const env = { PATH: process.env.PATH, PORT: '0', RLHF_DATA_DIR: folder, ...environment };
  child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'pipe', ...channel] });
  const exit = once(child, 'exit');
  const errors = child.stderr!.setEncoding('utf8').reduce((text, chunk) => text + chunk, '');
  const lines = createInterface({ input: child.stdout! });
  return { exit, errors, line: once(lines, 'line').then(([line]) => String(line)) };
}

const urlIn = (line: string): string => /^greeter is ready at (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)![1]!;

it('tells where it is, serves, and exits 0 on SIGTERM', async () => {
  const { line, exit } = run();
  const url = urlIn(await line);
  expect(await (await fetch(url)).text()).toBe('hello');
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('process_resident_memory_bytes');
  child!.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
});

it('tells whoever started it with a channel where it is, and stops when that one is gone', async () => {
  const { line, exit } = run({}, 'ipc');
  const [message] = await once(child!, 'message');
  expect(message).toEqual({ ready: urlIn(await line) });
  child!.disconnect();
  expect(await exit).toEqual([0, null]);
});

it('exits 0 when it is asked to stop while it waits for its log', async () => {
  const broker = createServer();
  await once(broker.listen(0, '127.0.0.1'), 'listening');
  const { port } = broker.address() as AddressInfo;
  const { exit } = run({ KAFKA_BROKERS: `127.0.0.1:${port}` });
  await once(broker, 'connection');
  child!.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  broker.close();
});

it('exits 1 when the service fails, or an error goes uncaught', async () => {
  const failing = run({ FAIL_AFTER_START: 'yes' });
  expect(await failing.exit).toEqual([1, null]);
  expect(await failing.errors).toContain('asked to');
  const crashing = run();
  await fetch(`${urlIn(await crashing.line)}/crash`);
  expect(await crashing.exit).toEqual([1, null]);
  expect(await crashing.errors).toContain('nobody catches this');
});

it('exits 2 and names the variable when a setting is wrong', async () => {
  const { exit, errors } = run({ FAIL_AFTER_START: 'perhaps' });
  expect(await exit).toEqual([2, null]);
  expect(await errors).toMatch(/greeter did not start: .*\n.*FAIL_AFTER_START: .*"perhaps"/);
});
