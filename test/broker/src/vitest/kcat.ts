/** Runs kcat, a client built on librdkafka, as an independent witness in tests where it is installed. */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

const TIMEOUT_MS = 30_000;

/** Whether kcat is installed; if not, a line on stderr. @throws Error when `REQUIRE_KCAT` is 1 and it is not. */
export function hasKcat(): boolean {
  try {
    execFileSync('kcat', ['-V'], { stdio: 'ignore', timeout: TIMEOUT_MS });
    return true;
  } catch (error) {
    const how = 'To run them install the package kcat';
    if (process.env.REQUIRE_KCAT === '1')
      throw new Error(`expected kcat for tests that need it. ${how}`, { cause: error });
    process.stderr.write(`Tests with kcat are skipped. ${how}\n`);
    return false;
  }
}

/** Runs kcat; resolves to what it wrote. */
export async function kcat(
  brokers: readonly string[],
  options: readonly string[],
  input = '',
): Promise<string> {
  const running = promisify(execFile)('kcat', ['-b', brokers.join(), ...options], { timeout: TIMEOUT_MS });
  running.child.stdin!.end(input);
  return (await running).stdout;
}

/** Every committed record of a topic, a line each in kcat's format. */
export async function kcatAll(brokers: readonly string[], topic: string, format: string): Promise<string[]> {
  const all = ['-C', '-t', topic, '-e', '-q', '-X', 'isolation.level=read_committed'];
  const output = await kcat(brokers, [...all, '-f', `${format}\n`]);
  return output.trimEnd().split('\n');
}
