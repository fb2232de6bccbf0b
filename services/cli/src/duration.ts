const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a time such as `90s`, `1h` or `0`; undefined for what is none. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  if (unit !== undefined) return Math.round(Number(number) * UNITS[unit as keyof typeof UNITS]);
  return text.trim() === '0' ? 0 : undefined;
}
