import { expect, it } from 'vitest';
import type { TopicSpec } from '../port.js';
import { ensured, localChanges } from './topics.js';

const kept: TopicSpec = { name: 'rollouts', partitions: 2, cleanup: 'delete', retentionMs: 1_000 };

it('copies and settings of brokers are accepted, and nothing is kept or said of them', () => {
  const wanted = { ...kept, replication: 3, settings: { 'segment.bytes': '1000000' } };
  expect(ensured(undefined, wanted, { settings: false })).toEqual(kept);
  expect(ensured(kept, wanted, { settings: true })).toEqual(kept);
  expect(localChanges(kept, wanted)).toEqual([]);
  expect(localChanges(undefined, wanted)).toEqual(localChanges(undefined, kept));
});

it('what is set differently stays, unless asked for', () => {
  const wanted: TopicSpec = { name: 'rollouts', partitions: 1, cleanup: 'compact' };
  expect(ensured(kept, wanted, { settings: false })).toEqual(kept);
  expect(ensured(kept, wanted, { settings: true })).toEqual({ ...wanted, partitions: 2 });
});
