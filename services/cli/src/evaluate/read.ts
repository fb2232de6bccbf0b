/** What the runs of an evaluation logged, as observations by item. */
import { type ReadDependencies, runEvents } from '@rlhf-streams/archive';
import { type ChoiceScores, choicesOf, scoreChoices } from '@rlhf-streams/evaluation';
import type { DataFor } from '@rlhf-streams/events';
import type { RunView } from '@rlhf-streams/runs';
import { type Episode, inOrder, readEpisodes } from '../runs/read-episodes.js';

/** A policy's answers to a prompt. */
export interface Answered {
  /** The same for the same prompt, whichever policy answered it. */
  readonly item: string;
  readonly prompt: string;
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
  /** One a sample. */
  readonly answers: readonly Episode[];
}

/**
 * The answers of a sampling run by prompt, in its order. Policies may read different prompts of the same data, as some are
 * too long for one of them: prompts are told apart by what they are, not by where they stand.
 */
export async function readAnswers(reading: ReadDependencies, view: RunView): Promise<Answered[]> {
  const byItem = new Map<string, Answered & { answers: Episode[]; first: string }>();
  for (const episode of await readEpisodes(reading, view)) {
    const { promptText, messages, metadata, prompt } = episode.rollout;
    // What a judge of pairs compares an answer with comes along, and is nothing that the prompt is.
    const { completion: _, ...fields } = metadata ?? {};
    const isTold = Object.keys(fields).length > 0;
    const item = JSON.stringify([messages ?? promptText, ...(isTold ? [fields] : [])]);
    const known = byItem.get(item);
    // A prompt counts once, as it was answered first.
    if (known?.first === prompt) known.answers.push(episode);
    else if (!known)
      byItem.set(item, { item, prompt: promptText, fields, answers: [episode], first: prompt });
  }
  return [...byItem.values()];
}

/** The texts that a policy was asked to judge, as it judged them. */
export interface JudgedByLogprob {
  readonly item: string;
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
  readonly scores: ChoiceScores;
  /** Whether several of its choices are true. */
  readonly severalTrue: boolean;
}

/** The questions, pairs or comparisons of an `evaluate` run, in its order. */
export async function readJudged(reading: ReadDependencies, view: RunView): Promise<JudgedByLogprob[]> {
  const comparisons = new Map<string, DataFor<'comparison.recorded'>>();
  const logprobs = new Map<string, readonly (readonly number[])[]>();
  for await (const event of runEvents(reading, view, ['comparisons', 'reference-logprobs'])) {
    if (event.type === 'comparison.recorded' && !comparisons.has(event.data.comparison))
      comparisons.set(event.data.comparison, event.data);
    if (event.type === 'reference.scored' && !logprobs.has(event.data.subject))
      logprobs.set(event.data.subject, event.data.logprobs);
  }
  const byItem = new Map<string, JudgedByLogprob>();
  const sorted = [...comparisons].sort(([a], [b]) => inOrder(a, b));
  for (const [id, { promptText, completions, ranks, metadata }] of sorted) {
    const rows = logprobs.get(id);
    const texts = completions.map(({ text }) => text);
    const item = JSON.stringify([promptText, texts, ...(metadata ? [metadata] : [])]);
    if (!rows || byItem.has(item)) continue;
    const scores = scoreChoices(choicesOf({ completions, ranks }, rows));
    const severalTrue = ranks.filter((rank) => rank < Math.max(...ranks)).length > 1;
    byItem.set(item, { item, fields: metadata, scores, severalTrue });
  }
  return [...byItem.values()];
}
