import { textOf } from '@rlhf-streams/log/conformance';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FetchedBatch } from '../wire/protocol.js';
import { committedRecords } from './fetching.js';

const AT = { topic: 'topic', partition: 0 };

/** What producers do to a partition, one after another. */
type Step =
  | { readonly kind: 'plain'; readonly records: number }
  | { readonly kind: 'transactional'; readonly producer: number; readonly records: number }
  | { readonly kind: 'end'; readonly producer: number; readonly commit: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('plain' as const), records: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    kind: fc.constant('transactional' as const),
    producer: fc.nat(2),
    records: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('end' as const), producer: fc.nat(2), commit: fc.boolean() }),
);

interface Partition {
  readonly batches: FetchedBatch[];
  readonly aborted: { producerId: string; firstOffset: number; lastOffset: number }[];
  /** Offsets of records that readers see, up to the last stable offset. */
  readonly visible: number[];
  readonly lastStableOffset: number;
}

/** A partition as a broker would hold it. `compacted` says which records compaction removed. */
function partitionAfter(steps: readonly Step[], compacted: (offset: number) => boolean): Partition {
  const batches: FetchedBatch[] = [];
  const aborted: Partition['aborted'] = [];
  const open = new Map<number, number[]>();
  const visible: number[] = [];
  let end = 0;
  const append = (count: number, producerId: string, more: Partial<FetchedBatch>) => {
    const offsets = Array.from({ length: count }, (_, i) => end + i);
    const records = offsets
      .filter((offset) => more.isControlBatch || !compacted(offset))
      .map((offset) => ({
        offset: String(offset),
        timestamp: '1',
        // An ordinary record may have the same key as the control record of an abort.
        key: Buffer.alloc(4),
        value: Buffer.from(`record ${offset}`),
        headers: {},
      }));
    batches.push({
      firstOffset: String(end),
      lastOffsetDelta: count - 1,
      producerId,
      inTransaction: false,
      isControlBatch: false,
      ...more,
      records,
    });
    end += count;
    return offsets.filter((offset) => !compacted(offset));
  };
  for (const each of steps) {
    if (each.kind === 'plain') visible.push(...append(each.records, '-1', {}));
    else if (each.kind === 'transactional') {
      const first = open.get(each.producer) ?? [end];
      const offsets = append(each.records, String(each.producer), { inTransaction: true });
      open.set(each.producer, [...first, ...offsets]);
    } else {
      const [first, ...offsets] = open.get(each.producer) ?? [];
      if (first === undefined) continue;
      append(1, String(each.producer), { inTransaction: true, isControlBatch: true });
      open.delete(each.producer);
      if (each.commit) visible.push(...offsets);
      else aborted.push({ producerId: String(each.producer), firstOffset: first, lastOffset: end - 1 });
    }
  }
  const lastStableOffset = Math.min(end, ...[...open.values()].map(([first]) => first!));
  return {
    batches,
    aborted,
    visible: visible.filter((offset) => offset < lastStableOffset).sort((a, b) => a - b),
    lastStableOffset,
  };
}

const offsetAfter = (batch: FetchedBatch) => Number(batch.firstOffset) + batch.lastOffsetDelta + 1;

/** A broker's answer: whole batches up to the last stable offset, `most` of them, and the aborted transactions among them. */
function answerAt({ batches, aborted, lastStableOffset }: Partition, position: number, most: number) {
  const stable = batches.filter((batch) => offsetAfter(batch) <= lastStableOffset);
  const sent = stable.filter((batch) => offsetAfter(batch) > position).slice(0, most);
  const [from, to] = [Number(sent[0]?.firstOffset ?? 0), sent.length > 0 ? offsetAfter(sent.at(-1)!) : 0];
  return {
    ...AT,
    lastStableOffset,
    abortedTransactions: aborted.filter(
      ({ firstOffset, lastOffset }) => firstOffset < to && lastOffset >= from,
    ),
    batches: sent,
  };
}

describe('committedRecords', () => {
  it('shows what was committed, once and in order, however answers are cut', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        fc.array(fc.nat(120), { maxLength: 30 }),
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 10 }),
        fc.nat(60),
        (steps, gone, cuts, start) => {
          const partition = partitionAfter(steps, (offset) => gone.includes(offset));
          const begin = Math.min(start, partition.lastStableOffset);
          const seen: string[] = [];
          let position = begin;
          // With a cut of 0 the answer had no room left for this partition.
          const fits = [...cuts, 1];
          for (let fetches = 0; position < partition.lastStableOffset; fetches++) {
            const answer = answerAt(partition, position, fits[fetches % fits.length]!);
            const { records, next, isAll } = committedRecords({ ...AT, position }, answer);
            expect(next).toBe(answer.batches.length === 0 ? position : offsetAfter(answer.batches.at(-1)!));
            expect(isAll).toBe(next >= partition.lastStableOffset);
            seen.push(...records.map(textOf));
            position = next;
          }
          const visible = partition.visible.filter((offset) => offset >= begin);
          expect(seen).toEqual(visible.map((offset) => `record ${offset}`));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('takes the last of a header that stands there more than once', () => {
    const { batches } = partitionAfter([{ kind: 'plain', records: 1 }], () => false);
    const [batch] = batches;
    const records = [
      {
        ...batch!.records[0]!,
        headers: { one: Buffer.from('1'), two: [Buffer.from('1'), Buffer.from('2')], none: null },
      },
    ];
    const answer = { ...AT, lastStableOffset: 1, abortedTransactions: [], batches: [{ ...batch!, records }] };
    expect(committedRecords({ ...AT, position: 0 }, answer).records[0]!.headers).toEqual({
      one: '1',
      two: '2',
      none: '',
    });
  });
});
