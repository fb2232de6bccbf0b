/**
 * Which requests take the free slots of a batch next. A version of the weights that is asked for without end must not keep
 * others waiting.
 */

/**
 * For versions that can be under way side by side: each free slot goes to the version that has the fewest sequences, of
 * equals to the one that had a slot longest ago, of those to the one that waits longest. A request waits for a slot to
 * become free, however many came before it for other versions: where there are slots for all versions a generation at most,
 * and with fewer until each of the others has had its turn.
 * @param waiting in the order in which they came
 * @param free slots that are free
 * @param served the version of each earlier turn, the latest one last
 * @returns at most as many as there are free slots
 */
export function sharedTurn<Request>(
  waiting: readonly Request[],
  underWay: readonly Request[],
  free: number,
  versionOf: (request: Request) => string,
  served: readonly string[],
): Request[] {
  const counts = new Map<string, number>();
  const count = (request: Request) => counts.get(versionOf(request)) ?? 0;
  const lastTurn = (request: Request) => served.lastIndexOf(versionOf(request));
  const add = (request: Request) => counts.set(versionOf(request), count(request) + 1);
  for (const request of underWay) add(request);
  const left = [...waiting];
  const chosen: Request[] = [];
  while (left.length > 0 && chosen.length < free) {
    const next = left.reduce((best, request) => {
      const more = count(request) - count(best) || lastTurn(request) - lastTurn(best);
      return more < 0 ? request : best;
    });
    left.splice(left.indexOf(next), 1);
    add(next);
    chosen.push(next);
  }
  return chosen;
}

/**
 * For versions of which one is under way at a time. An empty batch is filled by the version that waits longest. Then it
 * takes what came before the first request for another version, and no more, so that it runs empty: each version waits for
 * a generation of each of the others at most, beside what came before it.
 */
export function wholeTurn<Request>(
  waiting: readonly Request[],
  underWay: readonly Request[],
  free: number,
  versionOf: (request: Request) => string,
): Request[] {
  const [first] = underWay.length > 0 ? underWay : waiting;
  if (first === undefined) return [];
  const version = versionOf(first);
  const other = waiting.findIndex((request) => versionOf(request) !== version);
  const mayCome = underWay.length === 0 || other < 0 ? waiting : waiting.slice(0, other);
  return mayCome.filter((request) => versionOf(request) === version).slice(0, free);
}
