import { closestMatch } from 'leven';

/** A name as people vary it: `kl_coef`, `kl-coef` and `klCoef` are one. */
export const plainName = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** The candidate that a name was most likely meant to be, or undefined: at most two letters in five are wrong. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const meant = plainName(name);
  const maxDistance = Math.max(1, Math.floor(meant.length * 0.4));
  const match = closestMatch(meant, candidates.map(plainName), { maxDistance });
  return match === undefined ? undefined : candidates.find((candidate) => plainName(candidate) === match);
}
