/** Rows of .csv and .tsv files: the first row names the columns; cells are text, except in columns that need more. */
import { pipeline, Readable } from 'node:stream';
import { type CsvError, type Info, parse } from 'csv-parse';
import { bytesOf, messageOf } from './bytes.js';
import { DataError } from './errors.js';
import type { Row } from './json.js';

const MEBIBYTE = 2 ** 20;
const MOST_RECORD_CHARACTERS = 16 * MEBIBYTE;

/** Columns whose cells hold JSON, and what that JSON must be. */
const JSON_COLUMNS: Readonly<Record<string, string>> = {
  completions: 'a JSON list of strings',
  choices: 'a JSON list of strings',
  ranks: 'a JSON list of numbers',
  rewards: 'a JSON list of numbers',
  margin: 'a number',
};

/**
 * Streams the rows of a file of separated values (RFC 4180: cells in double quotes may hold separators, line breaks and
 * doubled quotes); blank lines are skipped. Cells of `completions`, `choices`, `ranks`, `rewards` and `margin` are read as
 * JSON, where an empty one is null; a `label` is a number or a boolean where it reads as one.
 *
 * @throws DATA_CSV_INVALID and DATA_TOO_LARGE with the line, DATA_UTF8_INVALID, DATA_GZIP_INVALID
 */
export async function* readSeparated(path: string, gzip: boolean, delimiter: string): AsyncGenerator<Row> {
  const parser = parse({
    delimiter,
    bom: true,
    columns: (names: string[]) => requireNames(path, names),
    info: true,
    max_record_size: MOST_RECORD_CHARACTERS,
    skip_empty_lines: true,
  });
  // The pipeline's error reaches the loop below through the stream it destroys.
  pipeline(Readable.from(textOf(path, gzip)), parser, () => {});
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: Record<string, string>;
      info: Info;
    }>) {
      yield Object.fromEntries(
        Object.entries(record).map(([column, cell]) => [
          column,
          cellValue(column, cell, `${path}:${info.lines}`),
        ]),
      );
    }
  } catch (cause) {
    throw cause instanceof DataError ? cause : invalid(path, cause);
  }
}

async function* textOf(path: string, gzip: boolean): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let line = 1;
  const decoded = (bytes?: Buffer): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      throw new DataError(
        'DATA_UTF8_INVALID',
        `${path}: expected UTF-8 text, but after line ${line} there are bytes that are not UTF-8; convert the file to UTF-8`,
        { cause },
      );
    }
  };
  for await (const bytes of bytesOf(path, gzip)) {
    const text = decoded(bytes);
    yield text;
    line += text.split('\n').length - 1;
  }
  yield decoded();
}

function requireNames(path: string, names: readonly string[]): string[] {
  const seen = new Set<string>();
  for (const name of names.map((name) => name.trim())) {
    if (seen.has(name)) {
      throw new DataError(
        'DATA_CSV_INVALID',
        `${path}:1: expected each column once, got '${name.slice(0, 40)}' twice: name the columns in the first row`,
      );
    }
    seen.add(name);
  }
  return [...seen];
}

function cellValue(column: string, cell: string, where: string): unknown {
  if (column === 'label') return labelOf(cell);
  const expected = Object.hasOwn(JSON_COLUMNS, column) ? JSON_COLUMNS[column] : undefined;
  if (expected === undefined) return cell;
  if (cell.trim() === '') return null;
  try {
    return JSON.parse(cell);
  } catch (cause) {
    throw new DataError(
      'DATA_CSV_INVALID',
      `${where}: ${column}: expected ${expected}, got text that is no JSON (Python writes JSON with json.dumps)`,
      { cause },
    );
  }
}

const LABEL_SCALAR = /^(?:true|false|[+-]?\d+(?:\.\d*)?)$/i;

function labelOf(cell: string): unknown {
  const text = cell.trim();
  if (text === '') return null;
  if (!LABEL_SCALAR.test(text)) return text;
  return /^[tf]/i.test(text) ? text.toLowerCase() === 'true' : Number(text);
}

function invalid(path: string, cause: unknown): DataError {
  const { code, lines, column } = cause as Partial<CsvError> & { lines?: number; column?: unknown };
  const where = lines === undefined ? path : `${path}:${lines}`;
  switch (code) {
    case 'CSV_RECORD_INCONSISTENT_COLUMNS': {
      const { columns, record } = cause as { columns?: unknown[]; record?: unknown[] };
      return new DataError(
        'DATA_CSV_INVALID',
        `${where}: expected ${columns?.length} cells, as many as the first row has names, got ${record?.length}; cells with commas or line breaks need double quotes`,
        { cause },
      );
    }
    case 'CSV_QUOTE_NOT_CLOSED':
      return new DataError(
        'DATA_CSV_INVALID',
        `${where}: expected a closing double quote, but the file ends`,
        {
          cause,
        },
      );
    case 'CSV_INVALID_CLOSING_QUOTE':
    case 'INVALID_OPENING_QUOTE':
      return new DataError(
        'DATA_CSV_INVALID',
        `${where}: expected double quotes around a whole cell, got one inside cell ${String(column)}; a quote within a quoted cell is written twice`,
        { cause },
      );
    case 'CSV_MAX_RECORD_SIZE':
      return new DataError(
        'DATA_TOO_LARGE',
        `${where}: expected a row of at most ${MOST_RECORD_CHARACTERS / MEBIBYTE} MiB; is a double quote missing?`,
        { cause },
      );
    default:
      return new DataError(
        'DATA_CSV_INVALID',
        `${where}: expected separated values, but ${messageOf(cause)}`,
        {
          cause,
        },
      );
  }
}
