import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topicSpecs } from '@rlhf-streams/bus';
import type { TopicSpec } from '@rlhf-streams/log';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { runRetention, topicSettings, topicSpecsFor } from './topic-specs.js';

const DAY = 86_400_000;

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'topics-'));
  file = join(folder, 'topics.yaml');
});
afterEach(() => rm(folder, { recursive: true }));

async function specs(text?: string, environment: Record<string, string> = {}) {
  if (text !== undefined) await writeFile(file, text);
  const all = await topicSpecsFor({ ...(text !== undefined && { RLHF_TOPICS_FILE: file }), ...environment });
  return Object.fromEntries(all.map((spec) => [spec.name, spec])) as Record<string, TopicSpec>;
}

describe('topics', () => {
  it("are the registry's where nothing is configured", async () => {
    expect(Object.values(await specs())).toEqual(topicSpecs);
    expect(Object.values(await specs('{}'))).toEqual(topicSpecs);
  });

  it('are what the file says of them, else the environment, its defaults, the registry', async () => {
    const text = `
defaults: { partitions: 3, replication: 2, retention: 2d, settings: { segment.bytes: 104857600 } }
topics:
  rollouts: { partitions: 24, retention: 12h, settings: { compression.type: zstd } }
  feedback: { retention: 365d }
  prompts: { retention: forever }
  dead-letters: { partitions: 1, replication: 1 }
`;
    const byFile = await specs(text);
    const settings = { 'segment.bytes': '104857600' };
    expect(byFile.rollouts).toEqual({
      name: 'rollouts',
      partitions: 24,
      replication: 2,
      cleanup: 'delete',
      settings: { ...settings, 'compression.type': 'zstd' },
    });
    expect(byFile.rewards).toMatchObject({ partitions: 3, settings });
    expect(byFile.feedback).toMatchObject({ retentionMs: 365 * DAY });
    expect(byFile['dead-letters']).toMatchObject({ partitions: 1, replication: 1 });

    const byBoth = await specs(text, { RLHF_TOPIC_PARTITIONS: '12', RLHF_TOPIC_REPLICATION: '3' });
    expect(byBoth.rollouts).toMatchObject({ partitions: 24, replication: 3 });
    expect(byBoth.rewards).toMatchObject({ partitions: 12, replication: 3 });
    expect(byBoth['dead-letters']).toMatchObject({ partitions: 1, replication: 1 });
  });

  it('of runs lose no record by the age that a file gives: what is not archived must stay', async () => {
    const configured = await specs('defaults: { retention: 1h }\ntopics: { rollouts: { retention: 1d } }');
    for (const spec of Object.values(configured)) expect(spec).not.toHaveProperty('retentionMs');
  });
});

describe('how long the work of runs stays', () => {
  const retention = async (text?: string, settings: z.input<typeof topicSettings> = {}) => {
    if (text !== undefined) await writeFile(file, text);
    const kept = await runRetention(
      topicSettings.parse({ ...(text !== undefined && { RLHF_TOPICS_FILE: file }), ...settings }),
    );
    return Object.fromEntries(kept);
  };
  const work = ['demonstrations', 'prompts', 'reference-logprobs', 'rewards', 'rollouts', 'steps', 'thumbs'];

  it('is seven days; comparisons, metrics and versions stay for ever', async () => {
    const kept = await retention();
    expect(Object.keys(kept).toSorted()).toEqual(work);
    expect(new Set(Object.values(kept))).toEqual(new Set([7 * DAY]));
  });

  it("is the file's entry for a topic, else the environment, its defaults", async () => {
    const text = `
defaults: { retention: 2d }
topics: { rollouts: { retention: 12h }, prompts: { retention: forever }, comparisons: { retention: 30d } }
`;
    expect(await retention(text)).toEqual({
      steps: 2 * DAY,
      demonstrations: 2 * DAY,
      thumbs: 2 * DAY,
      'reference-logprobs': 2 * DAY,
      rewards: 2 * DAY,
      rollouts: DAY / 2,
      comparisons: 30 * DAY,
    });
    const kept = await retention(text, { RLHF_TOPIC_RETENTION_MS: DAY });
    expect([kept.rollouts, kept.rewards, kept.prompts]).toEqual([DAY / 2, DAY, undefined]);
    expect(Object.keys(await retention(text, { RLHF_TOPIC_RETENTION_MS: 0 }))).toEqual([
      'rollouts',
      'comparisons',
    ]);
  });

  it('is an hour at least', () => {
    const refused = topicSettings.safeParse({ RLHF_TOPIC_RETENTION_MS: '1000' });
    expect(refused.error?.issues[0]?.message).toContain('3600000');
  });
});

describe('a file that is wrong', () => {
  it.each([
    [
      'an unknown topic',
      'topics: { rollout: { partitions: 1 } }',
      'no such key: rollout (did you mean rollouts?)',
      'topics',
    ],
    [
      'an unknown key',
      'topics: { rollouts: { partition: 1 } }',
      'no such key: partition (did you mean partitions?)',
      'topics.rollouts',
    ],
    ['an unknown section', 'topic: {}', 'no such key: topic (did you mean topics?)', ''],
    ['no partitions', 'defaults: { partitions: 0 }', 'expected at least 1, got 0', 'defaults.partitions'],
    ['a number of milliseconds', 'defaults: { retention: 1000 }', 'as 7d, 12h', 'defaults.retention'],
    ['an unknown unit', 'topics: { rewards: { retention: 2w } }', 'as 7d', 'topics.rewards.retention'],
    ['a moment', 'topics: { rewards: { retention: 5m } }', 'at least 1h,', 'topics.rewards.retention'],
    ['a state that expires', 'topics: { runs: { retention: 30d } }', 'kept whole', 'topics.runs.retention'],
    [
      'a state of limited size',
      'topics: { training-metrics: { settings: { retention.bytes: 1000000 } } }',
      'kept whole',
      'topics["training-metrics"].settings["retention.bytes"]',
    ],
    [
      'work of limited size',
      'topics: { rollouts: { settings: { retention.bytes: 1000000 } } }',
      'not archived yet',
      'topics.rollouts.settings["retention.bytes"]',
    ],
    [
      'a compacted topic that is not',
      'topics: { policy-versions: { cleanup: delete } }',
      'stay compacted',
      'topics["policy-versions"].cleanup',
    ],
    ['compaction', 'topics: { runs: { cleanup: compact } }', 'take all events', 'topics.runs.cleanup'],
    [
      'retention under another name',
      'defaults: { settings: { retention.ms: 1 } }',
      'as retention',
      'defaults.settings["retention.ms"]',
    ],
    [
      'a size for all',
      'defaults: { settings: { retention.bytes: 1 } }',
      'by name',
      'defaults.settings["retention.bytes"]',
    ],
    [
      'records too small',
      'topics: { rollouts: { settings: { max.message.bytes: 1000 } } }',
      'at least 1048588',
      'topics.rollouts.settings["max.message.bytes"]',
    ],
    ['text', 'topics', 'expected an object', ''],
    ['no YAML', 'topics: [', 'is no YAML', ''],
    ['several documents', '{}\n---\n{}', 'is no YAML', ''],
    ['an alias of nothing', 'topics: *lost', 'lost', ''],
  ])('because of %s', async (_, text, said, path) => {
    const error = await specs(text).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'RUNTIME_SETTINGS' });
    expect(error.message).toContain(file);
    expect(error.message).toContain(said);
    if (path !== '') expect(error.message).toContain(`at ${path}`);
  });

  it('names every mistake', async () => {
    const error = await specs(
      'defaults: { partitions: x }\ntopics: { runs: { retention: 1d }, rewards: 7 }',
    ).catch((thrown) => thrown);
    for (const path of ['defaults.partitions', 'topics.runs.retention', 'topics.rewards'])
      expect(error.message).toContain(`at ${path}`);
  });

  it('because it is missing', async () => {
    await expect(topicSpecsFor({ RLHF_TOPICS_FILE: join(folder, 'no.yaml') })).rejects.toMatchObject({
      code: 'RUNTIME_SETTINGS',
      message: expect.stringContaining('no.yaml'),
    });
  });
});

it('fewer copies than must be in sync are refused: nothing could be published', async () => {
  const text = 'topics: { rollouts: { settings: { min.insync.replicas: 2 } } }';
  expect((await specs(text)).rollouts).toMatchObject({ settings: { 'min.insync.replicas': '2' } });
  await expect(specs(text, { RLHF_TOPIC_REPLICATION: '1' })).rejects.toThrow(
    /rollouts.*at most its 1 copies/,
  );
});

it('an environment variable that is wrong is named', async () => {
  await expect(specs(undefined, { RLHF_TOPIC_PARTITIONS: '0' })).rejects.toThrow(
    /RLHF_TOPIC_PARTITIONS: .*"0"/,
  );
});
