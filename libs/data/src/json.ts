/** Rows of JSONL files and of JSON files that hold one list. */
import { bytesOf, decodeUtf8, messageOf } from './bytes.js';
import { DataError, typeInWords } from './errors.js';

/** One row of a dataset: column names to values. */
export type Row = Record<string, unknown>;

const NEWLINE = 0x0a;
const BYTE_ORDER_MARK = '\uFEFF';
const MEBIBYTE = 2 ** 20;
const MOST_LINE_BYTES = 64 * MEBIBYTE;
const MOST_JSON_BYTES = 256 * MEBIBYTE;

/**
 * Streams the objects of a JSONL file, one a line; blank lines are skipped. Memory holds one line.
 *
 * @throws DATA_JSON_INVALID, DATA_ROW_INVALID, DATA_UTF8_INVALID and DATA_TOO_LARGE name `path:line`
 */
export async function* readJsonLines(path: string, gzip: boolean): AsyncGenerator<Row> {
  let number = 0;
  for await (const line of linesOf(path, gzip)) {
    number += 1;
    const where = `${path}:${number}`;
    const text = withoutByteOrderMark(decodeUtf8(line, where));
    if (text.trim() === '') continue;
    yield requireRow(parseJson(text, where, 'one JSON object'), where);
  }
}

/**
 * Yields the objects of a JSON file that holds one list of them. The file is read whole: for more than
 * 256 MiB use JSONL.
 *
 * @throws DATA_JSON_INVALID, DATA_ROW_INVALID, DATA_UTF8_INVALID, DATA_TOO_LARGE
 */
export async function* readJsonList(path: string, gzip: boolean): AsyncGenerator<Row> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytesOf(path, gzip)) {
    size += chunk.length;
    if (size > MOST_JSON_BYTES) {
      throw new DataError(
        'DATA_TOO_LARGE',
        `${path}: expected at most ${MOST_JSON_BYTES / MEBIBYTE} MiB of JSON; convert it to JSONL, which is streamed`,
      );
    }
    chunks.push(chunk);
  }
  const text = withoutByteOrderMark(decodeUtf8(Buffer.concat(chunks), path));
  if (text.trim() === '') return;
  if (text.trimStart().startsWith('{')) {
    throw new DataError(
      'DATA_JSON_INVALID',
      `${path}:1: expected a JSON list of objects, got an object; if the file has one object a line, name it .jsonl`,
    );
  }
  const list = parseJson(text, path, 'a JSON list of objects');
  if (!Array.isArray(list)) {
    throw new DataError(
      'DATA_JSON_INVALID',
      `${path}: expected a JSON list of objects, got ${typeInWords(list)}`,
    );
  }
  for (const [index, row] of list.entries()) yield requireRow(row, `${path}: row ${index + 1}`);
}

/** Splits at line feeds; a `\r` before one stays, as JSON's white space. */
async function* linesOf(path: string, gzip: boolean): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let size = 0;
  let number = 1;
  const add = (part: Buffer) => {
    size += part.length;
    if (size > MOST_LINE_BYTES) {
      throw new DataError(
        'DATA_TOO_LARGE',
        `${path}:${number}: expected a line of at most ${MOST_LINE_BYTES / MEBIBYTE} MiB; is this JSONL, one object a line?`,
      );
    }
    parts.push(part);
  };
  for await (const chunk of bytesOf(path, gzip)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      yield Buffer.concat(parts);
      parts = [];
      size = 0;
      number += 1;
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (size > 0) yield Buffer.concat(parts);
}

function parseJson(text: string, where: string, expected: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError('DATA_JSON_INVALID', `${where}: expected ${expected}, but ${messageOf(cause)}`, {
      cause,
    });
  }
}

function requireRow(value: unknown, where: string): Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DataError(
      'DATA_ROW_INVALID',
      `${where}: expected an object of columns, got ${typeInWords(value)}`,
    );
  }
  return value as Row;
}

function withoutByteOrderMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}
