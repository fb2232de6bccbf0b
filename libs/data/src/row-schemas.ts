/** What columns hold, with errors that say what was expected and what came. */
import { z } from 'zod';
import { typeInWords } from './errors.js';

export type Metadata = Record<string, unknown>;

export const expecting =
  (what: string) =>
  ({ input }: { input?: unknown }) =>
    `expected ${what}, got ${typeInWords(input)}`;

export const text = z.string({ error: expecting('a string') });
export const number = z.number({ error: expecting('a finite number') });
export const metadata = z.record(z.string(), z.unknown(), { error: expecting('an object') }).nullish();

/** A row, of which other columns are left out. */
export const row = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.object(shape, { error: expecting('an object of columns') });
/** A row whose other columns stay. */
export const looseRow = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.looseObject(shape, { error: expecting('an object of columns') });
