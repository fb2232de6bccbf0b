/** The events a step is made of: a pure function of configuration, items and step, so that issuing again is harmless. */

import type { NewEvent } from '@rlhf-streams/bus';
import { batchIndices } from '@rlhf-streams/data';
import { itemId } from '@rlhf-streams/events';
import {
  type ComparisonItem,
  type DemonstrationItem,
  minPolicyVersion,
  type PromptItem,
  type RunConfig,
  replayed,
  stepsOf,
  workOf,
} from '@rlhf-streams/runs';

export interface RunItems {
  readonly train: readonly (DemonstrationItem | PromptItem | ComparisonItem)[];
  readonly test: readonly (DemonstrationItem | PromptItem | ComparisonItem)[];
  /** Ends a completion. */
  readonly stopTokens: readonly number[];
}

export interface Progress {
  /** Steps issued. */
  readonly issued: number;
  /** Steps done: the policy's version, in runs that change it. */
  readonly completed: number;
}

/**
 * Steps that may be issued now: as far ahead of the step under way as the method allows, which bounds staleness. Of a
 * replay none: its events are there.
 */
export function issuable(config: RunConfig, testItems: number, { issued, completed }: Progress): number[] {
  if (replayed(config) !== undefined) return [];
  const end = Math.min(stepsOf(config, testItems), completed + workOf(config).ahead + 1);
  return Array.from({ length: Math.max(0, end - issued) }, (_, i) => issued + i);
}

export function stepEvents(config: RunConfig, items: RunItems, step: number): NewEvent[] {
  const heldOut = step >= config.steps;
  const prompting = config.method === 'sample' && config.testPrompts;
  const pool = heldOut || prompting ? items.test : items.train;
  const chosen = heldOut
    ? pool
    : batchIndices(pool.length, config.batchSize, step, config.seed).map((index) => pool[index]!);
  return chosen.map((item, index) => {
    const id = itemId(config.run, step, index);
    return { ...eventOf(config, items, item, id, step), id } as NewEvent;
  });
}

function eventOf(
  config: RunConfig,
  { stopTokens }: RunItems,
  item: RunItems['train'][number],
  id: string,
  step: number,
) {
  const stamp = { run: config.run, step };
  if ('completions' in item)
    return { type: 'comparison.recorded', data: { ...item, ...stamp, comparison: id } };
  if ('promptTokens' in item)
    return { type: 'demonstration.recorded', data: { ...item, ...stamp, demonstration: id } };
  if (config.method !== 'ppo' && config.method !== 'sample')
    throw new Error(`a ${config.method} run has no prompts`);
  return {
    type: 'prompt.issued',
    data: {
      ...stamp,
      prompt: id,
      text: item.text,
      tokens: item.tokens,
      samples: config.samplesPerPrompt,
      minPolicyVersion: minPolicyVersion(config, step),
      sampling: { ...config.sampling, stopTokens: [...stopTokens] },
      seed: config.seed,
      timeoutMs: config.timeoutMs,
    },
  };
}
