/** How results are written: numbers with true minus signs, and texts that a model generated. */

/**
 * Characters that have no glyph: the replacement of broken UTF-8, which a byte-level model may generate at any place,
 * controls other than white space, private and unassigned code points, and halves of surrogate pairs.
 */
export const UNSHOWABLE = /\uFFFD|(?![\t\n\r])\p{Cc}|[\p{Co}\p{Cn}\p{Cs}]/u;

/** A number's hyphen as a true minus sign. */
export function minus(text: string): string {
  return text.replaceAll('-', '\u2212');
}

/** A measured value: three significant digits, or the six of a large number; a dash for no number. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '\u2013';
  return written(value, Math.abs(value) >= 1000 ? 6 : 3, 2);
}

/** The value of a tick, which is round: neighbours that differ in a late digit must not read alike. */
export const tick = (value: number): string => written(value, 10, 3);

/** A number in decimals, or in powers of ten where it is very small or large. */
function written(value: number, digits: number, digitsBeforePower: number): string {
  const size = Math.abs(value);
  const power = size !== 0 && (size < 1e-3 || size >= 1e6);
  const [factor, exponent] = value.toExponential(digitsBeforePower - 1).split('e') as [string, string];
  return minus(power ? `${Number(factor)}e${Number(exponent)}` : String(Number(value.toPrecision(digits))));
}
