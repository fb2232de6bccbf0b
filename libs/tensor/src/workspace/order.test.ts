import { expect, it } from 'vitest';
import { type Access, callOrder } from './order.js';

/** Calls whose computing ends when the test says so. */
function calls() {
  const order = callOrder();
  const log: string[] = [];
  const end: Record<string, (error?: Error) => void> = {};
  const call = (name: string, access: Partial<Access>, { begins = true } = {}) => {
    const result = order.enqueue({ reads: [], writes: [], ...access }, async (begun) => {
      log.push(`computes ${name}`);
      if (begins) begun();
      await new Promise<void>((resolve, reject) => {
        end[name] = (error) => (error ? reject(error) : resolve());
      });
      return () => log.push(`commits ${name}`);
    });
    result.catch(() => log.push(`fails ${name}`));
    return result;
  };
  const turn = () => new Promise(setImmediate);
  return { order, log, end, call, turn };
}

it('calls are computed side by side and committed in their order', async () => {
  const { order, log, end, call, turn } = calls();
  call('a', { writes: ['sum'] });
  call('b', { writes: ['sum'] });
  await turn();
  end.b!();
  await turn();
  expect(log).toEqual(['computes a', 'computes b']);
  end.a!();
  await order.settled();
  expect(log.slice(2)).toEqual(['commits a', 'commits b']);
});

it('a call waits for those that write what it reads, and those behind it wait for it to begin', async () => {
  const { log, end, call, turn } = calls();
  call('writer', { writes: ['x'] });
  call('reader', { reads: ['x'] });
  call('other', { reads: ['y'] });
  await turn();
  expect(log).toEqual(['computes writer']);
  end.writer!();
  await turn();
  expect(log.slice(1)).toEqual(['commits writer', 'computes reader', 'computes other']);
});

it('a call that waits before it begins holds up those behind it', async () => {
  const { log, end, call, turn } = calls();
  call('first', {}, { begins: false });
  call('second', {});
  await turn();
  expect(log).toEqual(['computes first']);
  end.first!();
  await turn();
  expect(log.slice(1).sort()).toEqual(['commits first', 'computes second']);
});

it('what is written in place waits for every call before it', async () => {
  const { log, end, call, turn } = calls();
  call('reader', { reads: ['x'] });
  call('in place', { writes: ['x'], inPlace: true });
  await turn();
  expect(log).toEqual(['computes reader']);
  end.reader!();
  await turn();
  expect(log.slice(1)).toEqual(['commits reader', 'computes in place']);
});

it('a call that fails is passed over', async () => {
  const { order, log, end, call, turn } = calls();
  call('a', { writes: ['x'] });
  call('b', { reads: ['x'] });
  await turn();
  end.a!(new Error('no memory'));
  await turn();
  end.b!();
  await order.settled();
  expect(log).toEqual(['computes a', 'fails a', 'computes b', 'commits b']);
});
