/** Axes of the charts that are drawn as SVG. */

/** Linear axis from data to pixels, with ticks at round numbers. */
export interface Axis {
  readonly ticks: readonly { readonly value: number; readonly label: string; readonly at: number }[];
  readonly place: (value: number) => number;
}

/** What a value may lie outside of the axis, in ticks: less than can be seen. A KL of -1e-7 is drawn at 0. */
const SLACK = 0.005;

/** Axis whose `values` all fit, its ends at round numbers, drawn from pixel `from` to pixel `to`. */
export function axisFor(values: readonly number[], from: number, to: number, about = 5): Axis {
  const finite = values.filter(Number.isFinite);
  let low = Math.min(...finite, Number.POSITIVE_INFINITY);
  let high = Math.max(...finite, Number.NEGATIVE_INFINITY);
  if (finite.length === 0) [low, high] = [0, 1];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const step = roundStep((high - low) / about);
  const first = Math.floor(low / step + SLACK);
  const last = Math.ceil(high / step - SLACK);
  const place = (value: number) => from + ((value / step - first) / (last - first)) * (to - from);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => {
    const value = (first + i) * step;
    return { value, label: minus(value.toFixed(Math.min(decimals, 20))), at: place(value) };
  });
  return { ticks, place };
}

/** A number's hyphen as a true minus sign. */
export function minus(text: string): string {
  return text.replaceAll('-', '\u2212');
}

function roundStep(rough: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  return magnitude * ([1, 2, 5, 10].find((factor) => factor * magnitude >= rough * 0.999) ?? 10);
}
