import { LogError } from '../errors.js';
import type { LogRecord } from '../port.js';

type StoredRecord = Pick<LogRecord, 'key' | 'value' | 'headers' | 'timestamp'>;

/** The first byte of every record. It tells records from zeros, and leaves room for another layout. */
const FORMAT = 1;

/**
 * Lays a record out as: format (1 byte), timestamp (float64), key, number of headers, their names and texts, value.
 * Texts are UTF-8 after their length in bytes; lengths and the number of headers are LEB128; the value runs to the end.
 */
export function encodeRecord({ key, value, headers, timestamp }: StoredRecord): Buffer {
  const entries = Object.entries(headers);
  const texts = [key, ...entries.flat()].map((text) => Buffer.from(text));
  const size = texts.reduce((sum, text) => sum + lengthOfVarint(text.length) + text.length, 0);
  const encoded = Buffer.allocUnsafe(1 + 8 + size + lengthOfVarint(entries.length) + value.length);
  encoded[0] = FORMAT;
  let at = encoded.writeDoubleLE(timestamp, 1);
  texts.forEach((text, index) => {
    at = writeVarint(encoded, text.length, at);
    encoded.set(text, at);
    at += text.length;
    if (index === 0) at = writeVarint(encoded, entries.length, at);
  });
  encoded.set(value, at);
  return encoded;
}

/**
 * Reads what `encodeRecord` wrote. The value is a view of `encoded`.
 * @throws LogError LOG_TOO_NEW for a layout that only a newer build knows, LOG_CORRUPT for anything else.
 */
export function decodeRecord(encoded: Buffer): StoredRecord {
  let at = 9;
  const damaged = () =>
    new LogError('LOG_CORRUPT', `A stored record of ${encoded.length} bytes cannot be read.`);
  if (encoded.length >= at && encoded[0]! > FORMAT)
    throw new LogError(
      'LOG_TOO_NEW',
      `expected stored records of format ${FORMAT}, got one of format ${encoded[0]}: a newer build wrote it, so upgrade this one; or the log is damaged`,
    );
  if (encoded.length < at || encoded[0] !== FORMAT) throw damaged();

  function varint(): number {
    let number = 0;
    for (let shift = 0; shift < 32; shift += 7) {
      const byte = encoded[at++];
      if (byte === undefined) throw damaged();
      number += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return number;
    }
    throw damaged();
  }
  function text(): string {
    const length = varint();
    if (at + length > encoded.length) throw damaged();
    at += length;
    return encoded.toString('utf8', at - length, at);
  }

  const timestamp = encoded.readDoubleLE(1);
  const key = text();
  const headers: [string, string][] = [];
  for (let left = varint(); left > 0; left--) headers.push([text(), text()]);
  const value = new Uint8Array(encoded.buffer, encoded.byteOffset + at, encoded.length - at);
  return { key, value, headers: Object.fromEntries(headers), timestamp };
}

function lengthOfVarint(number: number): number {
  let length = 1;
  for (let rest = number; rest >= 0x80; rest >>>= 7) length++;
  return length;
}

function writeVarint(target: Buffer, number: number, at: number): number {
  let [rest, end] = [number, at];
  for (; rest >= 0x80; rest >>>= 7) target[end++] = (rest & 0x7f) | 0x80;
  target[end++] = rest;
  return end;
}
