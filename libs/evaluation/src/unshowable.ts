/**
 * Characters that have no glyph: the replacement of broken UTF-8, which a byte-level model may generate at any place,
 * controls other than white space, private and unassigned code points, and halves of surrogate pairs.
 */
export const UNSHOWABLE = /\uFFFD|(?![\t\n\r])\p{Cc}|[\p{Co}\p{Cn}\p{Cs}]/u;
