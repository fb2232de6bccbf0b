import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sharedTurn, wholeTurn } from './turns.js';

/** Requests are named by their version and a number: `a1`. */
const versionOf = (request: string) => request[0]!;
const shared = (waiting: string[], underWay: string[], free: number, served: string[] = []) =>
  sharedTurn(waiting, underWay, free, versionOf, served);
const whole = (waiting: string[], underWay: string[], free: number) =>
  wholeTurn(waiting, underWay, free, versionOf);

describe('versions side by side', () => {
  it('get the free slots in turn, those first that have the fewest', () => {
    expect(shared(['a1', 'a2', 'a3', 'b1', 'c1'], [], 4)).toEqual(['a1', 'b1', 'c1', 'a2']);
    expect(shared(['a1', 'a2', 'b1', 'b2'], ['a0', 'a9', 'b0'], 3)).toEqual(['b1', 'a1', 'b2']);
    expect(shared(['a1'], ['b1'], 0)).toEqual([]);
  });

  it('have their turns one after the other where there are fewer slots', () => {
    expect(shared(['a2', 'a3', 'c1'], ['b1'], 1)).toEqual(['a2']);
    expect(shared(['a2', 'a3', 'c1'], ['b1'], 1, ['c', 'a', 'b'])).toEqual(['c1']);
    let waiting = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1', 'c2', 'd1', 'd2'];
    const turns: string[] = [];
    while (waiting.length > 0) {
      turns.push(...shared(waiting, [], 1, turns.map(versionOf)));
      waiting = waiting.filter((request) => !turns.includes(request));
    }
    expect(turns).toEqual(['a1', 'b1', 'c1', 'd1', 'a2', 'b2', 'c2', 'd2', 'a3', 'a4']);
  });

  it('lose no request and take none twice', () => {
    const requests = fc.uniqueArray(
      fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(50)).map((pair) => pair.join('')),
    );
    fc.assert(
      fc.property(requests, requests, fc.nat(10), (waiting, underWay, free) => {
        const chosen = shared(waiting, underWay, free);
        expect(new Set(chosen).size).toBe(Math.min(free, waiting.length));
        expect(waiting).toEqual(expect.arrayContaining(chosen));
        // The requests chosen of a version are those that came first.
        for (const version of ['a', 'b', 'c']) {
          const of = (some: string[]) => some.filter((request) => versionOf(request) === version);
          expect(of(chosen)).toEqual(of(waiting).slice(0, of(chosen).length));
        }
      }),
    );
  });
});

describe('versions one at a time', () => {
  it('take what came for them, and when another waits no more', () => {
    expect(whole(['a1', 'b1', 'a2'], [], 9)).toEqual(['a1', 'a2']);
    expect(whole(['a3', 'b1', 'a4'], ['a1', 'a2'], 9)).toEqual(['a3']);
    expect(whole(['b1', 'a3'], ['a1'], 9)).toEqual([]);
    expect(whole(['b1', 'a3', 'b2'], [], 1)).toEqual(['b1']);
    expect(whole([], [], 9)).toEqual([]);
  });
});
