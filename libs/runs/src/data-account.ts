/**
 * Reasons for which rows are left out of every run of their kind: a prompt that other rows have too is used once, and
 * held-out rows are evaluated up to a number. Of such rows nothing is lost, and nobody need be told.
 */
export const DUPLICATE_PROMPT = 'duplicate prompt';
export const HELD_OUT_SURPLUS = 'held out beyond maxTestItems';
