import { partitionKey } from '@rlhf-streams/log/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAssignment, encodeAssignment } from '../wire/group-protocol.js';
import { type Claimant, decodeClaim, divide, encodeClaim, grouped, listed } from './claims.js';

const TOPICS = ['a', 'b', 'c'];
const counts = fc
  .record({
    a: fc.integer({ min: 0, max: 6 }),
    b: fc.integer({ min: 0, max: 6 }),
    c: fc.integer({ min: 0, max: 6 }),
  })
  .map((each) => new Map(Object.entries(each)));
/** Members, some of which claim the same partitions, or partitions that do not exist. */
const claimants = fc
  .array(
    fc.record({
      topics: fc.subarray(TOPICS, { minLength: 1 }),
      held: fc.array(fc.record({ topic: fc.constantFrom(...TOPICS), partition: fc.nat(6) }), {
        maxLength: 6,
      }),
      generation: fc.integer({ min: -1, max: 3 }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((claims) =>
    claims.map(
      ({ topics, held, generation }, index): Claimant => ({
        memberId: `member ${index}`,
        claim: {
          topics,
          generation,
          held: grouped(new Map(held.map((at) => [partitionKey(at), at])).values()),
        },
      }),
    ),
  );

/** The assignments of a group that joins again whenever a member has released partitions. */
const MOST_ROUNDS = 6;

const holdersOf = (members: readonly Claimant[]) =>
  members.flatMap(({ memberId, claim }) => listed(claim.held).map((at) => `${partitionKey(at)} ${memberId}`));

/** What each member holds after an assignment: it released what it lost, and took what it got. */
const settled = (members: readonly Claimant[], shares: ReturnType<typeof divide>, generation: number) =>
  members.map(({ memberId, claim }) => ({
    memberId,
    claim: { ...claim, generation, held: shares.get(memberId)! },
  }));

describe('divide', () => {
  it('gives each partition to one member that wants it, and never one that another works on', () => {
    fc.assert(
      fc.property(claimants, counts, (members, partitions) => {
        const shares = divide(members, partitions);
        const given = [...shares].flatMap(([id, share]) => listed(share).map((at) => ({ ...at, id })));
        expect(new Set(given.map(partitionKey)).size).toBe(given.length);
        for (const { topic, partition, id } of given) {
          expect(members.find(({ memberId }) => memberId === id)!.claim.topics).toContain(topic);
          expect(partition).toBeLessThan(partitions.get(topic)!);
        }
        const newest = new Map<string, string>();
        const byAge = members.toSorted((x, y) => x.claim.generation - y.claim.generation);
        for (const { memberId, claim } of byAge)
          for (const at of listed(claim.held)) newest.set(partitionKey(at), memberId);
        const wanted = new Set(members.flatMap(({ claim }) => claim.topics));
        for (const [topic, count] of partitions)
          for (let partition = 0; partition < count; partition++) {
            const key = partitionKey({ topic, partition });
            const owner = given.find((at) => partitionKey(at) === key)?.id;
            if (owner !== undefined && newest.has(key)) expect(owner).toBe(newest.get(key));
            if (owner === undefined && wanted.has(topic)) expect(newest.has(key)).toBe(true);
          }
      }),
    );
  });

  it('comes to rest, with every partition somebody wants at one member, balanced', () => {
    fc.assert(
      fc.property(claimants, counts, (members, partitions) => {
        let before = members;
        let now = settled(members, divide(members, partitions), 10);
        for (let round = 1; holdersOf(now).join() !== holdersOf(before).join(); round++) {
          expect(round).toBeLessThan(MOST_ROUNDS);
          [before, now] = [now, settled(now, divide(now, partitions), 10 + round)];
        }
        const wanted = new Set(members.flatMap(({ claim }) => claim.topics));
        const total = [...partitions].reduce(
          (sum, [topic, count]) => sum + (wanted.has(topic) ? count : 0),
          0,
        );
        expect(holdersOf(now)).toHaveLength(total);
        if (members.every(({ claim }) => claim.topics.length === TOPICS.length)) {
          const sizes = now.map(({ claim }) => listed(claim.held).length);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('is told and answered in what the broker passes on', () => {
    fc.assert(
      fc.property(claimants, ([claimant]) => {
        expect(decodeClaim(encodeClaim(claimant!.claim))).toEqual(claimant!.claim);
        expect(decodeAssignment(encodeAssignment(claimant!.claim.held))).toEqual(claimant!.claim.held);
      }),
    );
    expect(decodeAssignment(Buffer.alloc(0))).toEqual({});
  });
});
