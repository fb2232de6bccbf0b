import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCheckpoint } from '@rlhf-streams/model';
import { expect, it } from 'vitest';
import { trainByPpo } from './loop.js';

it('the loop raises the reward, and leaves a policy', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'loop-test-'));
  try {
    const said: string[] = [];
    const scores = await trainByPpo(join(folder, 'policy'), (line) => said.push(line));
    const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
    expect(said).toHaveLength(scores.length);
    expect(mean(scores.slice(-3))).toBeGreaterThan(2 * mean(scores.slice(0, 3)));
    const { tensors, tokenizer } = await readCheckpoint(join(folder, 'policy'));
    expect(tensors.get('wte.weight')!.shape).toEqual([300, 32]);
    expect(tokenizer).toBeDefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('a folder that is there is refused in a line, before anything is trained', () => {
  const loop = fileURLToPath(new URL('./loop.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [loop, tmpdir()], { encoding: 'utf8' });
  expect({ status, stdout, lines: stderr.trim().split('\n') }).toEqual({
    status: 2,
    stdout: '',
    lines: [expect.stringContaining('is already there')],
  });
});
