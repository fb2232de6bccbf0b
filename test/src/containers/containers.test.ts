import '@rlhf-streams/kafka-broker/vitest';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { recipe } from '@rlhf-streams/sentiment';
import { followRun, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFailed } from 'vitest';
import { type Outcome, outcomeIn, outcomeOf } from '../platform/outcome.js';
import { tinyComparisons, tinyDpo, tinyPpo, tinySft, writeReviews } from '../platform/tiny-runs.js';
import { request, show, stepsOf, untilRun } from './gateway.js';
import { createStack, type Stack } from './stack.js';

const BUILD_TIMEOUT_MS = 1_200_000;
const TEST_TIMEOUT_MS = 600_000;
/** As `rlhf-streams quickstart --short` does it. */
const quickstart = recipe({ data: 'bundled', seed: 0, short: true }).flatMap(({ runs }) => runs);
const services = ['gateway', 'coordinator', 'policy', 'reward', 'reference', 'optimizer'] as const;

/** SFT, PPO, comparisons and DPO; another PPO goes on while the stack is away. */
const pipeline = (data: string): RunConfigInput[] => [
  tinySft(data),
  { ...tinyPpo(data, 'run:sft'), steps: 32, checkpointEvery: 4 },
  tinyComparisons(data),
  tinyDpo(),
];
const interrupted = (data: string): RunConfigInput => ({
  ...tinyPpo(data, 'run:sft'),
  run: 'interrupted',
  steps: 32,
  checkpointEvery: 4,
});

describe.skipIf(!inject('docker'))('the containers', () => {
  let folder: string;
  let stack: Stack;
  let expected: Outcome;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'containers-'));
    // Containers read and write there as other users than this one.
    await chmod(folder, 0o755);
    stack = createStack(folder);
    await stack.compose('--profile', 'tools', 'build');
    const data = await writeReviews(folder);
    const yaml = pipeline('/files/reviews.jsonl').map((run) => JSON.stringify(run));
    await writeFile(join(folder, 'runs.yaml'), yaml.join('\n---\n'));
    expected = await trainHere('here', [...pipeline(data), interrupted(data)]);
  }, BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await stack?.remove();
    await rm(folder, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  async function trainHere(name: string, runs: RunConfigInput[]): Promise<Outcome> {
    const platform = await startPlatform({ directory: join(folder, name), logLevel: 'error' });
    try {
      for (const run of runs) {
        await requestRun(platform, run);
        await followRun(platform, run.run, {});
      }
      return await outcomeOf(platform);
    } finally {
      await platform.close();
    }
  }

  const expectedSteps = (run: string, from = expected) => from.steps.filter((step) => step.run === run);
  const names = pipeline('').map(({ run }) => run);
  const tellOnFailure = () =>
    onTestFailed(async () => {
      process.stderr.write(await stack.compose('logs', '--no-color', '--tail', '30', ...services));
    });

  it('are of this platform and of production alone, and run as nobody special', async () => {
    for (const image of [...services, 'cli']) {
      const tag = `rlhf-streams/${image}:${stack.name}`;
      expect(await stack.docker('inspect', '--format', '{{.Config.User}}', tag)).toBe('1000:1000');
      const list = await stack.docker('run', '--rm', '--entrypoint', 'find', tag, '/app', '-type', 'f');
      const files = list.split('\n');
      const idle =
        /\.(ts|map)$|\/(darwin|win32)\/|^\/app\/(libs|services)\/.*\.test\.|\/(typescript|vitest|@biomejs)\//;
      expect(files.filter((file) => idle.test(file))).toEqual([]);
      const computes = files.some((file) => file.includes('/onnxruntime-node/'));
      expect([image, computes]).toEqual([image, image !== 'gateway']);
    }
  });

  it(
    'train with the command alone, in one of them, to the same weights',
    async () => {
      const { uid, gid } = userInfo();
      const data = join(folder, 'alone');
      await mkdir(data);
      await stack.docker(
        ...[
          'run',
          '--rm',
          '--user',
          `${uid}:${gid}`,
          '--volume',
          `${data}:/data`,
          '--volume',
          `${folder}:/files:ro`,
        ],
        ...[`rlhf-streams/cli:${stack.name}`, 'run', '/files/runs.yaml', '--directory', '/data/log'],
      );
      const outcome = await outcomeIn(join(data, 'log'));
      expect(outcome.steps).toEqual(expected.steps.filter(({ run }) => names.includes(run)));
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'train the quickstart with one command, and print its table, though two of them are killed meanwhile',
    async () => {
      tellOnFailure();
      const same = await trainHere('quickstart', quickstart);
      await stack.compose('up', '--wait');
      const gateway = await stack.gateway();
      const trained = stack.compose('run', '--rm', '-T', 'cli', 'quickstart', '--short', '--attach');
      trained.catch(() => {});
      await untilRun(gateway, 'sft', ({ steps }) => steps.done >= 3);
      await stack.compose('kill', 'coordinator', 'optimizer');
      expect((await show(gateway, 'sft')).status).toBe('running');
      await stack.compose('up', '--wait', '--no-recreate');
      const output = await trained;
      for (const row of ['policy +gold reward', 'SFT ', 'PPO ', 'DPO ', 'Checkpoints'])
        expect(output).toMatch(new RegExp(`^${row}`, 'm'));
      for (const { run } of quickstart) expect(await stepsOf(gateway, run)).toEqual(expectedSteps(run, same));
      // Its runs have the names of those that come next.
      await stack.compose('down', '--volumes');
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'train together to the same weights, whichever of them are killed meanwhile',
    async () => {
      tellOnFailure();
      await stack.compose('up', '--wait');
      const gateway = await stack.gateway();
      const trained = stack.compose('run', '--rm', '-T', 'cli', 'run', '/files/runs.yaml', '--attach');
      trained.catch(() => {});
      await untilRun(gateway, 'ppo', ({ steps }) => steps.done >= 3);
      for (const killed of [
        ['policy', 'optimizer'],
        ['kafka', 's3'],
      ]) {
        await stack.compose('kill', ...killed);
        const { status, steps } = await show(gateway, 'ppo');
        expect(status).toBe('running');
        await stack.compose('up', '--wait', '--no-recreate');
        await untilRun(gateway, 'ppo', ({ steps: { done } }) => done > steps.done);
      }
      await trained;
      for (const run of names) expect(await stepsOf(gateway, run)).toEqual(expectedSteps(run));
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'end in peace when asked to, and go on from what volumes keep',
    async () => {
      tellOnFailure();
      const before = await stack.gateway();
      await request(before, interrupted('/files/reviews.jsonl'));
      await untilRun(before, 'interrupted', ({ steps }) => steps.done >= 3);
      await stack.compose('stop', ...services);
      expect(await exitCodes()).toEqual(services.map((service) => `${service} 0`).sort());
      await stack.compose('down');

      await stack.compose('up', '--wait');
      const after = await stack.gateway();
      await untilRun(after, 'interrupted', ({ status }) => status === 'completed');
      expect(await stepsOf(after, 'interrupted')).toEqual(expectedSteps('interrupted'));
    },
    TEST_TIMEOUT_MS,
  );

  async function exitCodes(): Promise<string[]> {
    const table = await stack.compose('ps', '--all', '--format', '{{.Service}} {{.ExitCode}}', ...services);
    return table.split('\n').sort();
  }
});
