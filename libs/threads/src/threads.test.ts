import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Arithmetic } from './arithmetic.test.child.js';
import { spawn, type Thread, ThreadError } from './index.js';

const url = new URL('./arithmetic.test.child.js', import.meta.url);
let thread: Thread<Arithmetic>;
beforeEach(() => {
  thread = spawn<Arithmetic>(url, { name: 'arithmetic', data: 'thread' });
});
afterEach(() => thread.close());

it('is ready when its module serves', async () => {
  await expect(thread.ready()).resolves.toBeUndefined();
});

describe('a call', () => {
  it('gives arguments and brings the result, with the data the thread was spawned with', async () => {
    expect(await thread.call.sum([1, 2, 3])).toBe(6);
    expect(await thread.call.greeting()).toBe('hello thread');
  });

  it('works on shared memory in place, and on a copy of private memory', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    const own = new Float32Array(2);
    await Promise.all([thread.call.increment(shared), thread.call.increment(own)]);
    expect([[...shared], [...own]]).toEqual([
      [1, 1],
      [0, 0],
    ]);
  });

  it('is given a port, where the thread speaks before it answers, and hears when it is closed', async () => {
    const { port1: listening, port2: given } = new MessageChannel();
    const heard: number[] = [];
    listening.on('message', (sum) => heard.push(sum));
    expect(await thread.call.sums([1, 2, 3], given)).toBe(6);
    await vi.waitFor(() => expect(heard).toEqual([1, 3, 6]));
    listening.close();

    const channel = new MessageChannel();
    const closed = thread.call.untilClosed(channel.port2);
    channel.port1.close();
    expect(await closed).toBe('closed');
  });

  it('does not wait for calls before it', async () => {
    const answers: string[] = [];
    const first = thread.call.wait().then(() => answers.push('first'));
    await thread.call.sum([1]).then(() => answers.push('second'));
    await thread.call.release();
    await first;
    expect(answers).toEqual(['second', 'first']);
  });

  it('keeps many callers apart', async () => {
    const sums = await Promise.all(Array.from({ length: 100 }, (_, i) => thread.call.sum([i, i])));
    expect(sums).toEqual(Array.from({ length: 100 }, (_, i) => 2 * i));
  });

  it('fails as its function failed: name, message, code, cause and what may become of the work', async () => {
    const error = await thread.call.overflow().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'Overflow', message: 'too large', code: 'ARITHMETIC_OVERFLOW' });
    expect(error).toMatchObject({ retriable: false, unavailable: true });
    expect(error.cause).toMatchObject({ message: '2 ** 1024 is Infinity' });
    expect(error.stack).toContain('arithmetic.test.child');
    await expect(thread.call.throwText()).rejects.toThrow('a text');
  });

  it('of an unknown function names the known ones', async () => {
    const { divide } = thread.call as unknown as { divide(): Promise<unknown> };
    await expect(divide()).rejects.toMatchObject({
      code: 'THREAD_UNKNOWN_CALL',
      message: expect.stringMatching(/greeting, sum.* got divide/),
    });
    const { toString: inherited } = thread.call as unknown as { toString(): Promise<unknown> };
    await expect(inherited()).rejects.toMatchObject({ code: 'THREAD_UNKNOWN_CALL' });
  });

  it('with what cannot be cloned fails alone, either way', async () => {
    await expect(thread.call.sum([() => 1] as unknown as number[])).rejects.toThrow('could not be cloned');
    await expect(thread.call.uncloneable()).rejects.toThrow('could not be cloned');
    expect(await thread.call.sum([1])).toBe(1);
  });

  it('is made by name only: awaiting the calls is none', async () => {
    expect(await thread.call).toBe(thread.call);
  });
});

describe('a thread that dies', () => {
  it('by exiting rejects every pending call and every later one', async () => {
    const pending = [thread.call.wait(), thread.call.exit(3)];
    for (const result of await Promise.allSettled(pending)) {
      expect(result).toMatchObject({
        reason: { code: 'THREAD_EXITED', message: expect.stringContaining('code 3') },
      });
    }
    await expect(thread.call.sum([1])).rejects.toMatchObject({ code: 'THREAD_EXITED' });
    await expect(thread.died).rejects.toBeInstanceOf(ThreadError);
  });

  it('of an error tells it as the cause', async () => {
    await expect(thread.call.crash()).rejects.toMatchObject({
      code: 'THREAD_EXITED',
      cause: { message: 'a bug outside of every call' },
    });
    await expect(thread.died).rejects.toMatchObject({ code: 'THREAD_EXITED' });
  });

  it('because its module is missing says so', async () => {
    const lost = spawn<Arithmetic>(new URL('./no-such.js', import.meta.url), { name: 'lost' });
    await expect(lost.ready()).rejects.toMatchObject({ code: 'THREAD_EXITED' });
    await expect(lost.call.sum([1])).rejects.toMatchObject({
      code: 'THREAD_EXITED',
      message: expect.stringMatching(/lost died: .*no-such\.js/),
    });
  });
});

describe('close', () => {
  it('rejects pending and later calls, and may be repeated', async () => {
    const pending = thread.call.wait().catch((error) => error);
    await thread.close();
    expect(await pending).toMatchObject({ code: 'THREAD_CLOSED' });
    await expect(thread.call.sum([1])).rejects.toMatchObject({ code: 'THREAD_CLOSED' });
    await thread.close();
  });

  it('cuts short what would never end', async () => {
    const hasty = spawn<Arithmetic>(new URL('./arithmetic.test.child.js', import.meta.url), {
      name: 'hasty',
      patienceMs: 100,
    });
    const spinning = hasty.call.spin();
    const closed = hasty.close();
    await expect(spinning).rejects.toMatchObject({ code: 'THREAD_CLOSED' });
    await closed;
  });

  it('is no death', async () => {
    const fates: string[] = [];
    thread.died.catch(() => fates.push('died'));
    await thread.close();
    await new Promise(setImmediate);
    expect(fates).toEqual([]);
  });
});

it('an idle thread does not keep its process alive', async () => {
  const child = fileURLToPath(new URL('./idle.test.child.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [child], { timeout: 20_000 });
  expect(stdout).toBe('3');
});
