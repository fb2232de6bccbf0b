import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOrder } from './in-order.js';

/** Jobs that end when they are told to. */
function jobs() {
  const ends = new Map<number, { resolve(): void; reject(error: Error): void }>();
  const started: number[] = [];
  const start = (job: number) =>
    new Promise<string>((resolve, reject) => {
      started.push(job);
      ends.set(job, { resolve: () => resolve(`result ${job}`), reject });
    });
  return { start, started, ends };
}

const turn = () => new Promise(setImmediate);

describe('inOrder', () => {
  it('hands results over in the order of the jobs, each lane used by one job at a time', async () => {
    const cases = fc.record({ count: fc.nat({ max: 12 }), lanes: fc.integer({ min: 1, max: 5 }) });
    await fc.assert(
      fc.asyncProperty(cases, fc.infiniteStream(fc.nat()), async ({ count, lanes }, chance) => {
        const { start, ends } = jobs();
        const taken: string[] = [];
        const busy = new Map<number, number>();
        let most = 0;
        const done = inOrder(
          count,
          lanes,
          (job, lane) => {
            expect(busy.has(lane)).toBe(false);
            expect(lane).toBeLessThan(lanes);
            busy.set(lane, job);
            most = Math.max(most, busy.size);
            return start(job);
          },
          (result, job, lane) => {
            expect(busy.get(lane)).toBe(job);
            busy.delete(lane);
            taken.push(result);
          },
        );
        while (ends.size > 0) {
          const under = [...ends.keys()];
          const job = under[chance.next().value! % under.length]!;
          ends.get(job)!.resolve();
          ends.delete(job);
          await turn();
        }
        await done;
        expect(taken).toEqual(Array.from({ length: count }, (_, job) => `result ${job}`));
        expect(most).toBe(Math.min(count, lanes));
      }),
      { numRuns: 50 },
    );
  });

  it('fails with the error of the first job that failed, after those under way have ended', async () => {
    const { start, started, ends } = jobs();
    const taken: number[] = [];
    let settled = false;
    const done = inOrder(9, 3, start, (_, job) => taken.push(job)).finally(() => {
      settled = true;
    });
    done.catch(() => {});
    ends.get(2)!.reject(new Error('the third broke'));
    await turn();
    ends.get(0)!.resolve();
    await turn();
    ends.get(1)!.reject(new Error('the second broke'));
    await turn();
    expect(settled).toBe(false);
    ends.get(3)!.resolve();
    await expect(done).rejects.toThrow('the second broke');
    expect(taken).toEqual([0]);
    expect(started).toEqual([0, 1, 2, 3]);
  });

  it('fails when a result cannot be taken', async () => {
    const work = inOrder(
      3,
      2,
      async (job) => job,
      (job) => {
        if (job === 1) throw new Error('cannot be added');
      },
    );
    await expect(work).rejects.toThrow('cannot be added');
  });
});
