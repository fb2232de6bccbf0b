import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assign } from './assignment.js';
import { partitionKey } from './partition-key.js';

const partitionsOf = (sizes: readonly number[]) =>
  sizes.flatMap((size, topic) =>
    Array.from({ length: size }, (_, partition) => ({ topic: `t${topic}`, partition })),
  );
const member = (id: string, topics: readonly string[]) => ({ id, topics: new Set(topics) });
const count = <T>(items: Iterable<T>) => {
  const counts = new Map<T, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
};

const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 });
const memberCount = fc.integer({ min: 1, max: 6 });

describe('assign', () => {
  it('gives every partition to a member, and no member two more than another', () => {
    fc.assert(
      fc.property(sizes, memberCount, fc.array(fc.nat(8)), (topicSizes, members, previous) => {
        const partitions = partitionsOf(topicSizes);
        const topics = topicSizes.map((_, topic) => `t${topic}`);
        const ids = Array.from({ length: members }, (_, id) => `${id}`);
        const current = new Map(partitions.map((p, i) => [partitionKey(p), `${previous[i] ?? 99}`]));
        const owners = assign(
          partitions,
          ids.map((id) => member(id, topics)),
          current,
        );
        expect([...owners.keys()].toSorted()).toEqual(partitions.map(partitionKey).toSorted());
        const loads = ids.map((id) => count(owners.values()).get(id) ?? 0);
        expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('moves no more than a new member takes', () => {
    fc.assert(
      fc.property(sizes, memberCount, (topicSizes, members) => {
        const partitions = partitionsOf(topicSizes);
        const topics = topicSizes.map((_, topic) => `t${topic}`);
        const all = Array.from({ length: members + 1 }, (_, id) => member(`${id}`, topics));
        const before = assign(partitions, all.slice(0, members), new Map());
        const after = assign(partitions, all, before);
        const moved = [...after].filter(([key, id]) => before.get(key) !== id);
        expect(moved.every(([, id]) => id === `${members}`)).toBe(true);
        expect(assign(partitions, all, after)).toEqual(after);
      }),
    );
  });

  it('gives a member only topics it subscribes to', () => {
    const partitions = partitionsOf([4, 2]);
    const owners = assign(partitions, [member('a', ['t0', 't1']), member('b', ['t1'])], new Map());
    for (const [key, id] of owners) if (id === 'b') expect(key).toMatch(/^t1/);
    expect(count(owners.values())).toEqual(
      new Map([
        ['a', 4],
        ['b', 2],
      ]),
    );
  });

  it('spreads each topic, when there are several', () => {
    const before = assign(partitionsOf([2, 2]), [member('a', ['t0', 't1'])], new Map());
    const after = assign(
      partitionsOf([2, 2]),
      [member('a', ['t0', 't1']), member('b', ['t0', 't1'])],
      before,
    );
    expect(
      [...after]
        .filter(([, id]) => id === 'b')
        .map(([key]) => key.slice(0, 2))
        .toSorted(),
    ).toEqual(['t0', 't1']);
  });
});
