import { partitionKey } from '@rlhf-streams/log/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Placed, takeRequest } from './batches.js';

const placed = fc.record({
  topic: fc.constantFrom('a', 'b'),
  partition: fc.nat(2),
  bytes: fc.oneof(fc.nat(1_000), fc.integer({ min: 100_000, max: 1_000_000 })),
});

const withMessages = (records: readonly Omit<Placed, 'message'>[]): Placed[] =>
  records.map((record) => ({
    ...record,
    message: { key: Buffer.from('key'), value: Buffer.alloc(0), headers: {} },
  }));

describe('takeRequest', () => {
  it('takes every record once, in the order of its partition, in requests that brokers take', () => {
    fc.assert(
      fc.property(fc.array(placed, { maxLength: 200 }), (records) => {
        const all = withMessages(records);
        const sizes = new Map(all.map(({ message, bytes }) => [message, bytes]));
        const queue = [...all];
        const sent = new Map<string, Placed['message'][]>();
        while (queue.length > 0) {
          const before = queue.length;
          const batches = takeRequest(queue);
          expect(queue.length).toBeLessThan(before);
          const bytesOf = batches.map(({ messages }) =>
            messages.reduce((sum, each) => sum + sizes.get(each)!, 0),
          );
          for (const [index, batch] of batches.entries()) {
            if (batch.messages.length > 1) expect(bytesOf[index]).toBeLessThanOrEqual(512 * 1024);
            const key = partitionKey(batch);
            sent.set(key, [...(sent.get(key) ?? []), ...batch.messages]);
          }
          expect(new Set(batches.map(partitionKey)).size).toBe(batches.length);
          expect(bytesOf.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(16 * 1024 * 1024);
        }
        for (const [key, messages] of sent)
          expect(messages).toEqual(
            all.filter((each) => partitionKey(each) === key).map(({ message }) => message),
          );
        expect([...sent.values()].flat()).toHaveLength(all.length);
      }),
    );
  });

  it('takes as many records as there are', () => {
    const queue = withMessages(
      Array.from({ length: 300_000 }, () => ({ topic: 'a', partition: 0, bytes: 40 })),
    );
    let requests = 0;
    for (; queue.length > 0; requests++) takeRequest(queue);
    expect(requests).toBe(Math.ceil((300_000 * 40) / (512 * 1024)));
  });
});
