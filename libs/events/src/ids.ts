/**
 * Ids are functions of where an item stands in its run, so that work done twice has the same id.
 * They nest: run / step / index [/ sample].
 */

export const itemId = (run: string, step: number, index: number): string => `${run}/${step}/${index}`;

export const rolloutId = (prompt: string, sample: number): string => `${prompt}/${sample}`;
