import { describe, expect, it } from 'vitest';
import { advance, type Received } from './received.js';

describe('advance', () => {
  it('moves one partition past an event', () => {
    const at = (topic: string, partition: number, offset: number) =>
      ({ topic, partition, offset }) as Received;
    const positions = [at('a', 2, 7), at('b', 0, 3), at('a', 0, 1)].reduce(advance, {});
    expect(positions).toEqual({ a: [2, 0, 8], b: [4] });
  });
});
