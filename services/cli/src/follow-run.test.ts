import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { followRun } from './follow-run.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('tells of a quiet run what the services say it waits for, without its name and once', async () => {
  const events = {
    async *readAll() {},
    async *follow({ signal }: { signal: AbortSignal }) {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  };
  const client = {
    events,
    failed: new Promise(() => {}),
    troubles: async () => ['run r waits: ENOSPC', 'ENOSPC', 'run other waits: EIO'],
  };
  const paused = vi.fn();
  const end = new AbortController();
  const following = followRun(client as never, 'r', { paused }, end.signal);
  await vi.advanceTimersByTimeAsync(10_500);
  end.abort(new Error('enough'));
  await expect(following).rejects.toThrow('enough');
  expect(paused).toHaveBeenCalledWith('ENOSPC; run other waits: EIO');
});
