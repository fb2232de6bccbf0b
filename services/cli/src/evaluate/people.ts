/** People's recorded comparisons as a judge. */
import type { ReadDependencies } from '@rlhf-streams/archive';
import type { JudgedPair } from '@rlhf-streams/evaluation';
import type { Message } from '@rlhf-streams/events';
import type { Episode } from '../runs/read-episodes.js';
import { type Feedback, readFeedback } from '../runs/read-feedback.js';

/** Says which of two answers to a prompt is better, or nothing where it does not know them. */
export interface PairJudge {
  readonly name: string;
  readonly judge: (pair: {
    readonly prompt: string;
    readonly a: Episode;
    readonly b: Episode;
  }) => Pick<JudgedPair, 'outcome' | 'consistent'> | undefined;
}

/**
 * A collection of feedback as a judge of the pairs that it covers: rankings of the same prompt that have both answers. Of
 * several people the majority counts, and none is a tie.
 */
export async function readPeople(dependencies: ReadDependencies, collection: string): Promise<PairJudge> {
  const byPrompt = new Map<string, Feedback[]>();
  for (const data of await readFeedback(dependencies, collection)) {
    const key = keyOf(data.prompt);
    byPrompt.set(key, [...(byPrompt.get(key) ?? []), data]);
  }
  return {
    name: collection,
    judge: ({ prompt, a, b }) => {
      const votes = namesOf(prompt, a.rollout.messages).flatMap((key) =>
        (byPrompt.get(key) ?? []).flatMap((said) => voteOf(said, a.rollout.text, b.rollout.text)),
      );
      if (votes.length === 0) return undefined;
      const sum = votes.reduce((sum, vote) => sum + vote, 0);
      return { outcome: sum > 0 ? 'a' : sum < 0 ? 'b' : 'tie' };
    },
  };
}

const keyOf = (prompt: Feedback['prompt']): string =>
  typeof prompt === 'string' ? prompt : JSON.stringify(prompt.map(({ role, content }) => [role, content]));

/** How feedback may name a prompt: by its text, its messages or, of one message, what the user says. */
function namesOf(text: string, messages?: readonly Message[]): string[] {
  const [only, ...others] = messages ?? [];
  return [
    text,
    ...(messages ? [keyOf([...messages])] : []),
    ...(only?.role === 'user' && others.length === 0 ? [only.content] : []),
  ];
}

/** 1 for the first text, -1 for the second, 0 for a tie; nothing where one of them was not ranked, as of a thumb. */
function voteOf({ completions, ranks }: Feedback, a: string, b: string): number[] {
  if (!completions || !ranks) return [];
  const rankOf = (text: string) =>
    ranks[completions.findIndex((completion) => completion.trim() === text.trim())];
  const [one, other] = [rankOf(a), rankOf(b)];
  return one === undefined || other === undefined ? [] : [Math.sign(other - one)];
}
