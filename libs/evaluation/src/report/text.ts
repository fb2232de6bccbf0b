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

/** Three significant digits, in powers of ten where the number is very small or large; a dash for no number. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '\u2013';
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e6)
      ? value.toExponential(1).replace('+', '')
      : String(Number(value.toPrecision(size >= 1000 ? 6 : 3)));
  return minus(text);
}
