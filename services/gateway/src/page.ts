/** Pages of what was requested, the newest first. */
import { z } from 'zod';

/** Where something stands in its list: time of its request, then its name. */
interface Standing {
  readonly requestedAt: number;
  readonly name: string;
}

/** Parameters of every list. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z
    .string()
    .regex(/^\d{1,15}\.[a-z0-9][a-z0-9._-]{0,99}$/, 'expected the nextCursor of another page')
    .optional()
    .describe('the nextCursor of the page before'),
});

export const NextCursor = z
  .string()
  .nullable()
  .describe('the query parameter `cursor` of the next page; null on the last');

/** The page after `cursor`, and the cursor of the next. */
export function pageOf<Item>(
  all: readonly Item[],
  { limit, cursor }: z.output<typeof PageQuery>,
  standingOf: (item: Item) => Standing,
): { readonly page: readonly Item[]; readonly nextCursor: string | null } {
  const after = cursor === undefined ? undefined : parsed(cursor);
  const matching = all
    .map((item) => ({ item, standing: standingOf(item) }))
    .filter(({ standing }) => !after || newestFirst(after, standing) < 0)
    .sort((a, b) => newestFirst(a.standing, b.standing));
  const page = matching.slice(0, limit);
  const last = page.at(-1);
  return {
    page: page.map(({ item }) => item),
    nextCursor: last && matching.length > limit ? `${last.standing.requestedAt}.${last.standing.name}` : null,
  };
}

const newestFirst = (a: Standing, b: Standing): number =>
  b.requestedAt - a.requestedAt || (a.name < b.name ? -1 : Number(a.name > b.name));

function parsed(cursor: string): Standing {
  const dot = cursor.indexOf('.');
  return { requestedAt: Number(cursor.slice(0, dot)), name: cursor.slice(dot + 1) };
}
