/**
 * Ids are functions of where an item stands in its run, so that work done twice has the same id.
 * They nest: run / step / index [/ sample].
 */

export const itemId = (run: string, step: number, index: number): string => `${run}/${step}/${index}`;

export const rolloutId = (prompt: string, sample: number): string => `${prompt}/${sample}`;

/** Order of items within a step: by index, then sample, numerically. */
export function compareIds(a: string, b: string): number {
  const x = a.split('/');
  const y = b.split('/');
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    if (x[i] === y[i]) continue;
    const byNumber = Number(x[i]) - Number(y[i]);
    if (byNumber) return byNumber;
    return x[i]! < y[i]! ? -1 : 1;
  }
  return x.length - y.length;
}
