/** Preferences that somebody else publishes, as plain records, enter training. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { oneThread, tinyDpo, tinyKto, tinyReward, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let platform: Platform;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'feedback-'));
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
  const data = await writeReviews(folder);
  await complete({ ...tinySft(data), steps: 1 });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

async function complete(config: RunConfigInput): Promise<void> {
  await requestRun(platform, config);
  await followRun(platform, config.run, {});
}

/** Positive reviews are better than negative ones of the same beginning. */
function comparisons(count: number) {
  const texts = (wanted: number) =>
    bundledCorpus().flatMap(({ text, label }) => (label === wanted ? text : []));
  const [good, bad] = [texts(1), texts(0)];
  return Array.from({ length: count }, (_, i) => ({
    feedback: `review-${i}`,
    collection: 'reviews',
    prompt: 'The film:',
    completions: [` ${bad[i]!.slice(0, 20)}`, ` ${good[i]!.slice(0, 20)}`],
    ranks: [2, 1],
    labeler: `person-${i % 3}`,
  }));
}

const publish = (records: readonly { readonly feedback: string }[]) =>
  platform.log.publish(
    records.map((data) => ({
      topic: 'feedback',
      key: data.feedback,
      value: JSON.stringify(data),
      headers: { ce_id: data.feedback, ce_type: 'feedback.recorded' },
    })),
  );

async function recordedIn(run: string): Promise<DataFor<'comparison.recorded'>[]> {
  const recorded: DataFor<'comparison.recorded'>[] = [];
  for await (const { data } of platform.events.readAll(['comparisons']))
    if (data.run === run) recorded.push(data);
  return recorded;
}

it('feedback published as plain records trains a DPO run, and a reward model asked for likewise; a malformed one stops neither', async () => {
  const data = 'feedback:reviews';
  const feedback = comparisons(24);
  const malformed = { ...comparisons(25).at(-1)!, ranks: [1] };
  await publish([...feedback, malformed]);
  await complete({ ...tinyDpo(), data, steps: 2 });
  const config = { ...tinyReward(), data, steps: 2 };
  const headers = { ce_id: 'my-request', ce_type: 'run.requested' };
  await platform.log.publish([
    { topic: 'runs', key: config.run, value: JSON.stringify({ run: config.run, config }), headers },
  ]);
  await followRun(platform, config.run, {});

  const ids = new Set(feedback.map(({ feedback }) => feedback));
  for (const run of ['dpo', 'reward']) {
    const recorded = await recordedIn(run);
    expect(recorded.length).toBeGreaterThanOrEqual(2 * 8);
    for (const { metadata, completions, labeler } of recorded) {
      const source = feedback.find(({ feedback }) => feedback === metadata?.feedback)!;
      expect(ids).toContain(source.feedback);
      expect(completions.map(({ text }) => text)).toEqual(source.completions);
      expect(labeler).toBe(source.labeler);
    }
  }
  const steps: DataFor<'step.completed'>[] = [];
  for await (const { data } of platform.events.readAll(['training-metrics']))
    if (data.run === 'dpo') steps.push(data);
  expect(steps.map(({ step, split }) => [step, split])).toEqual([
    [0, 'train'],
    [1, 'train'],
  ]);
  expect(steps.map(({ metrics }) => metrics['eval/rewards/accuracies'] !== undefined)).toEqual([false, true]);
  // Before its first update the policy is the reference: both rewards are 0, and the loss is that of a coin.
  expect(steps[0]!.metrics.loss).toBeCloseTo(Math.log(2), 3);
  expect(Math.abs(steps[1]!.metrics.loss! - Math.log(2))).toBeGreaterThan(1e-3);

  const letters: DataFor<'record.rejected'>[] = [];
  for await (const { data } of platform.events.readAll(['dead-letters'])) letters.push(data);
  expect(letters).toMatchObject([
    {
      service: 'coordinator',
      source: { topic: 'feedback' },
      key: 'review-24',
      cause: { code: 'EVENT_INVALID', message: expect.stringContaining('one rank a completion') },
    },
  ]);
  expect(JSON.parse(Buffer.from(letters[0]!.value, 'base64').toString())).toEqual(malformed);
});

it('thumbs published as plain records, beside rankings, train a KTO run', async () => {
  const judged = comparisons(24).map(({ completions, ranks: _, ...rest }, i) => ({
    ...rest,
    feedback: `thumb-${i}`,
    prompt: `The film ${i}:`,
    completion: completions[i % 2]!,
    label: i % 2 === 1,
  }));
  await publish(judged);
  await complete({ ...tinyKto(), data: 'feedback:reviews', steps: 2 });

  const recorded: DataFor<'thumb.recorded'>[] = [];
  for await (const { data } of platform.events.readAll(['thumbs'])) recorded.push(data);
  expect(recorded.length).toBeGreaterThanOrEqual(2 * 8);
  for (const { metadata, text, label, promptText } of recorded) {
    const source = judged.find(({ feedback }) => feedback === metadata?.feedback)!;
    expect([promptText, text, label]).toEqual([source.prompt, source.completion, source.label]);
  }
  const steps: DataFor<'step.completed'>[] = [];
  for await (const { data } of platform.events.readAll(['training-metrics']))
    if (data.run === 'kto') steps.push(data);
  // Before its first update the policy is the reference: half of what could be lost is.
  expect(steps[0]!.metrics).toMatchObject({ loss: expect.closeTo(0.5, 3), kl: expect.closeTo(0, 3) });
  expect(Math.abs(steps[1]!.metrics.loss! - 0.5)).toBeGreaterThan(1e-4);
  expect(steps[1]!.metrics['eval/loss']).toBeGreaterThan(0);
});

it('a collection that nobody published to is named, and so is what is there', async () => {
  const config = { ...tinyDpo(), run: 'nothing', data: 'feedback:nothing' };
  await requestRun(platform, config);
  await expect(followRun(platform, config.run, {})).rejects.toThrow(
    /collection nothing .*got none; there is feedback of reviews/,
  );
});
