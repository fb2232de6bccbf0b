import '@rlhf-streams/kafka-broker/vitest';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import { recipe } from '@rlhf-streams/sentiment';
import { followRun, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFailed } from 'vitest';
import { outcomeOf } from '../platform/outcome.js';
import { stepsOf } from './gateway.js';
import { createStack, type Stack } from './stack.js';

const BUILD_TIMEOUT_MS = 1_200_000;
const TEST_TIMEOUT_MS = 1_800_000;
/** Relative, of each of the first 20 steps. */
const TOLERANCE = 1e-4;
const COMPARED = 20;
const computing = ['policy', 'reward', 'reference', 'optimizer'] as const;
/** As `rlhf-streams quickstart` begins. */
const [sft] = recipe({ data: 'bundled', seed: 0 }).flatMap(({ runs }) => runs);

describe.skipIf(!inject('docker'))('the containers with the tensorflow engine', () => {
  let folder: string;
  let stack: Stack;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'containers-'));
    await chmod(folder, 0o755);
    stack = createStack(folder, { RLHF_ENGINE: 'tensorflow' });
    await stack.compose('--profile', 'tools', 'build');
  }, BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await stack?.remove();
    await rm(folder, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  it('end at their start where they must have a GPU and find none', async () => {
    for (const image of computing) {
      const tag = `rlhf-streams/${image}:${stack.name}`;
      await expect(stack.docker('run', '--rm', '--env', 'RLHF_DEVICE=cuda', tag)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`${image} did not start: `),
        message: expect.stringContaining('expected a GPU, got none'),
      });
    }
  });

  it(
    'train the quickstart, SFT with the losses of the default engine, PPO and DPO to more reward than SFT, and end in peace',
    async () => {
      onTestFailed(async () => {
        process.stderr.write(await stack.compose('logs', '--no-color', '--tail', '30', ...computing));
      });
      const expected = await lossesHere();
      await stack.compose('up', '--wait');
      // It fails unless PPO and DPO are above SFT, their intervals apart.
      const output = await stack.compose('run', '--rm', '-T', 'cli', 'quickstart', '--attach');
      for (const row of ['policy +gold reward', 'SFT ', 'PPO ', 'DPO ', 'Checkpoints'])
        expect(output).toMatch(new RegExp(`^${row}`, 'm'));
      const losses = lossesOf(await stepsOf(await stack.gateway(), 'sft'));
      expect(losses).toHaveLength(expected.length);
      for (const [step, loss] of losses.slice(0, COMPARED).entries())
        expect(Math.abs(loss / expected[step]! - 1)).toBeLessThan(TOLERANCE);
      await stack.compose('stop', ...computing);
      const ended = await stack.compose('ps', '--all', '--format', '{{.ExitCode}}', ...computing);
      expect(ended.split('\n')).toEqual(computing.map(() => '0'));
    },
    TEST_TIMEOUT_MS,
  );

  async function lossesHere(): Promise<number[]> {
    const platform = await startPlatform({ directory: join(folder, 'here'), logLevel: 'error' });
    try {
      await requestRun(platform, sft!);
      await followRun(platform, sft!.run, {});
      return lossesOf((await outcomeOf(platform)).steps);
    } finally {
      await platform.close();
    }
  }
});

const lossesOf = (steps: readonly DataFor<'step.completed'>[]): number[] =>
  steps.map(({ metrics }) => metrics.loss!);
