/**
 * When a run ends before its last step. The optimizer, which publishes a version with that step, and the coordinator, which
 * completes the run, both decide by this function.
 */
import type { RunView } from './runs.js';

/** A step that is done, and what it measured. */
interface Done {
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Why the run ends with a step; undefined where it goes on. An extended run does not end again with what it had done
 * before.
 */
export function stopReason(
  { config, extents = [] }: Pick<RunView, 'config' | 'extents'>,
  { step, metrics }: Done,
): string | undefined {
  const stopWhen = config && 'stopWhen' in config ? config.stopWhen : undefined;
  if (!stopWhen || step < (extents.at(-1)?.from ?? 0)) return undefined;
  const { metric, below, above } = stopWhen;
  const value = metrics[metric];
  if (value === undefined) return undefined;
  const said = `${metric} was ${value} in step ${step}`;
  if (below !== undefined && value < below) return `stopWhen: ${said}, below ${below}`;
  return above !== undefined && value > above ? `stopWhen: ${said}, above ${above}` : undefined;
}
