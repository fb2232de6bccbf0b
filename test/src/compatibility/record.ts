/**
 * Makes a fixture that later versions must be able to read: `node test/dist/compatibility/record.js FOLDER` trains on
 * tiny models with the code as it is, and keeps what a user has on the disk afterwards. There are two logs, one of
 * runs that are finished, one whose process was killed in the middle of the same PPO run, and the artifacts of both.
 */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { topics } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { thisBuild } from '@rlhf-streams/service/build';
import { onnxRuntimeVersion } from '@rlhf-streams/tensor/version';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { outcomeOf } from '../platform/outcome.js';
import {
  oneThread,
  tinyComparisons,
  tinyDpo,
  tinyPpo,
  tinyReward,
  tinySft,
  writeReviews,
} from '../platform/tiny-runs.js';
import { type Expected, gateway, topicsFile, type View } from './fixture.js';

/** The run that is also killed, and its step after which it is: checkpoints are written after every second step. */
const KILLED = { run: 'ppo', step: 2 };

const data = 'reviews.jsonl';
const model = { layers: 1, width: 8, heads: 2, contextLength: 32, vocabSize: 300 };
const before: RunConfigInput[] = [{ ...tinySft(data), model, steps: 4 }, tinyComparisons(data), tinyReward()];
const ppo: RunConfigInput = {
  ...tinyPpo(data, 'run:sft'),
  scorers: ['run:reward', `gold:${data}`],
  steps: 4,
  checkpointEvery: 2,
};

async function trainAll(platform: Platform): Promise<void> {
  // What a log also holds: a record that is no event, feedback, a run that failed.
  await platform.log.publish([{ topic: 'prompts', key: 'poison', value: 'no event' }]);
  for await (const _ of platform.events.follow({ topics: ['dead-letters'] })) break;
  for (const config of [...before, ppo, tinyDpo()]) {
    await requestRun(platform, config);
    await followRun(platform, config.run, {});
  }
  await platform.events.publish(
    ['first', 'second'].map((feedback) => ({
      type: 'feedback.recorded' as const,
      id: feedback,
      data: {
        feedback,
        collection: 'films',
        prompt: 'The film was',
        completions: [' a joy.', ' a bore.'],
        ranks: [1, 2],
        labeler: 'somebody',
      },
    })),
  );
  await requestRun(platform, { ...tinyDpo(), run: 'orphan', model: 'run:nowhere' });
  await followRun(platform, 'orphan', {}).catch(() => {});
}

async function trainUntilKilled(platform: Platform): Promise<void> {
  for (const config of [...before, ppo]) {
    await requestRun(platform, config);
    await followRun(platform, config.run, {
      step: ({ step }) => {
        if (config.run === KILLED.run && step === KILLED.step) process.kill(process.pid, 'SIGKILL');
      },
    });
  }
}

async function expectedOf(platform: Platform): Promise<Expected> {
  const { weights } = await outcomeOf(platform);
  const { runs } = (await gateway(platform, '/v1/runs')) as { runs: { run: string }[] };
  const views: View[] = [];
  for (const { run } of runs) {
    const view = (await gateway(platform, `/v1/runs/${run}`)) as View & Record<string, unknown>;
    // Replicas are those of this process.
    const { replicas: _, links: __, ...lasting } = view;
    views.push(lasting);
  }
  const events: Record<string, number> = {};
  const names = Object.keys(topics) as (keyof typeof topics)[];
  for await (const { type } of platform.events.readAll(names)) events[type] = (events[type] ?? 0) + 1;
  return {
    build: thisBuild(onnxRuntimeVersion),
    weights,
    runs: views,
    events,
  };
}

/** Run as a process of its own, in a temporary folder: what is trained on is named relative to it. */
async function train(life: string): Promise<void> {
  const open = () =>
    startPlatform({
      directory: resolve(life),
      environment: { ...oneThread, RLHF_TOPICS_FILE: topicsFile },
    });
  const platform = await open();
  await (life === 'stopped' ? trainUntilKilled : trainAll)(platform);
  await platform.close();
  // Opening the log again compacts it, as happens to every log that is read later.
  const again = await open();
  await writeFile('expected.json', `${JSON.stringify(await expectedOf(again), undefined, 2)}\n`);
  await again.close();
}

async function record(fixture: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'record-'));
  await writeReviews(folder);
  await mkdir(fixture, { recursive: true });
  for (const life of ['finished', 'stopped']) {
    const { signal, status } = spawnSync(
      process.execPath,
      [fileURLToPath(import.meta.url), '--train', life],
      {
        cwd: folder,
        stdio: 'inherit',
      },
    );
    if (life === 'stopped' ? signal !== 'SIGKILL' : status !== 0)
      throw new Error(`expected the ${life} run to be so, it ended with ${signal ?? status}`);
    const log = gzipSync(await readFile(join(folder, life, 'log', 'data.mdb')), { level: 9 });
    await writeFile(join(fixture, `${life}.data.mdb.gz`), log);
    // Artifacts are named by their content: both lives have most of them in common.
    for (const part of ['blobs', 'manifests'])
      await cp(join(folder, life, 'artifacts', part), join(fixture, 'artifacts', part), { recursive: true });
  }
  await cp(join(folder, 'expected.json'), join(fixture, 'expected.json'));
  await rm(folder, { recursive: true });
}

const [first, second] = process.argv.slice(2);
if (first === '--train') await train(second!);
else if (first) await record(resolve(first));
else throw new Error('expected the folder of the fixture to make');
