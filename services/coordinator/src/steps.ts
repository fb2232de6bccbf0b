/**
 * The coordinator's decisions: which steps may be issued, and the events of a step. Both are pure functions of the
 * configuration, items and progress, so that issuing a step again is harmless.
 */

import type { NewEvent } from '@rlhf-streams/bus';
import { batchIndices } from '@rlhf-streams/data';
import { itemId } from '@rlhf-streams/events';
import {
  minPolicyVersion,
  type PromptItem,
  type PromptsSpec,
  type RunConfig,
  type RunItem,
  replayed,
  specOf,
  stepsOf,
} from '@rlhf-streams/runs';

export interface RunItems {
  readonly train: readonly RunItem[];
  readonly test: readonly RunItem[];
  /** Tokens that end a completion. */
  readonly stopTokens: readonly number[];
}

export interface Progress {
  /** Steps issued. */
  readonly issued: number;
  /** Steps done. In on-policy runs this is the version of the policy. */
  readonly completed: number;
}

/**
 * The steps that may be issued now: as far ahead of the step under way as the run's spec allows, which bounds staleness.
 * A replay issues none, as its events are on the log.
 */
export function issuable(config: RunConfig, testItems: number, { issued, completed }: Progress): number[] {
  if (replayed(config) !== undefined) return [];
  const end = Math.min(stepsOf(config, testItems), completed + specOf(config).ahead + 1);
  return Array.from({ length: Math.max(0, end - issued) }, (_, i) => issued + i);
}

export function stepEvents(config: RunConfig, items: RunItems, step: number): NewEvent[] {
  const { data } = specOf(config);
  const heldOut = step >= config.steps;
  const split = heldOut ? 'test' : data.kind === 'prompts' ? data.split : 'train';
  const pool = items[split];
  const chosen = heldOut
    ? pool
    : batchIndices(pool.length, config.batchSize, step, config.seed).map((index) => pool[index]!);
  return chosen.map((item, index) => {
    const id = itemId(config.run, step, index);
    const stamp = { run: config.run, step };
    const event =
      data.kind === 'prompts'
        ? promptIssued(config, data, items.stopTokens, item as PromptItem, { ...stamp, prompt: id })
        : data.kind === 'comparisons'
          ? { type: 'comparison.recorded', data: { ...item, ...stamp, comparison: id } }
          : { type: 'demonstration.recorded', data: { ...item, ...stamp, demonstration: id } };
    return { ...event, id } as NewEvent;
  });
}

const promptIssued = (
  config: RunConfig,
  { samples, sampling, timeoutMs }: PromptsSpec,
  stopTokens: readonly number[],
  { text, messages, tokens, metadata }: PromptItem,
  stamp: { readonly run: string; readonly step: number; readonly prompt: string },
) => ({
  type: 'prompt.issued',
  data: {
    ...stamp,
    text,
    ...(messages && { messages }),
    tokens,
    ...(metadata && { metadata }),
    samples,
    minPolicyVersion: minPolicyVersion(config, stamp.step),
    sampling: { ...sampling, stopTokens: [...stopTokens] },
    seed: config.seed,
    timeoutMs,
  },
});
