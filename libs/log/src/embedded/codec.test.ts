import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord } from './codec.js';

const text = fc.string({ unit: 'binary', maxLength: 300 });
const record = fc.record({
  key: text,
  value: fc.uint8Array({ maxLength: 2_000 }),
  headers: fc.dictionary(text, text, { noNullPrototype: true }),
  timestamp: fc.double({ noNaN: true, noDefaultInfinity: true }),
});

describe('the record codec', () => {
  it('gives back every record bit for bit', () => {
    fc.assert(
      fc.property(record, (original) => {
        expect(decodeRecord(encodeRecord(original))).toEqual(original);
      }),
    );
  });

  it('names damage for what it is: cut off before the value, or of another format', () => {
    fc.assert(
      fc.property(
        record,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (original, share) => {
          const encoded = encodeRecord(original);
          const cut = encoded.subarray(0, Math.floor(share * (encoded.length - original.value.length)));
          expect(() => decodeRecord(cut)).toThrow(expect.objectContaining({ code: 'LOG_CORRUPT' }));
          encoded[0] = 0;
          expect(() => decodeRecord(encoded)).toThrow(expect.objectContaining({ code: 'LOG_CORRUPT' }));
          encoded[0] = 2;
          expect(() => decodeRecord(encoded)).toThrow(expect.objectContaining({ code: 'LOG_TOO_NEW' }));
        },
      ),
    );
  });
});
