/** Runs whose preparation takes long, beside others, when they are cancelled, and when the service stops. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { oneThread, tinyModel, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let platform: Platform;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platform-'));
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

describe('a preparation that takes long', () => {
  /** Writes enough words that training a tokenizer on them takes minutes. */
  const manyWords = async (): Promise<string> => {
    const path = join(folder, 'words.jsonl');
    const wordsOf = (row: number) =>
      Array.from({ length: 500 }, (_, i) => createHash('sha1').update(`${row} ${i}`).digest('base64'));
    const rows = Array.from(
      { length: 600 },
      (_, row) => `${JSON.stringify({ text: wordsOf(row).join(' ') })}\n`,
    );
    await writeFile(path, rows.join(''));
    return path;
  };
  const working = () => readdir(join(folder, 'log', 'tmp')).catch(() => []);
  const long = (run: string, words: string): RunConfigInput => ({
    ...tinySft(words),
    run,
    model: { ...tinyModel, vocabSize: 60_000 },
  });

  it('holds up no other run, ends when its run is cancelled, and when the service stops', async () => {
    const words = await manyWords();
    for (const run of ['long-1', 'long-2']) await requestRun(platform, long(run, words));
    await vi.waitFor(async () => expect(await working()).toHaveLength(2), { timeout: 20_000 });

    await requestRun(platform, { ...tinySft(await writeReviews(folder)), run: 'quick', steps: 1 });
    await followRun(platform, 'quick', {});
    expect(await working()).toHaveLength(2);

    const gateway = platform.services.find(({ name }) => name === 'gateway')!;
    const { status } = await gateway.request('/v1/runs/long-1/cancel', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"reason": "enough"}',
    });
    expect(status).toBe(202);
    await vi.waitFor(async () => expect(await working()).toHaveLength(1), { timeout: 20_000 });

    const coordinator = platform.services.find(({ name }) => name === 'coordinator')!;
    await coordinator.stop();
    expect(coordinator.state).toBe('stopped');
    expect(await working()).toEqual([]);
  });
});
