/** LLM judges, behind the chat endpoint that OpenAI made and others have: ratings of completions, and which of two is better. */
import { shown } from '@rlhf-streams/events';
import { z } from 'zod';
import type { Answer, ScorerItem } from './answer.js';
import { ScorerError } from './errors.js';
import type { JudgeSettings } from './judge-settings.js';
import { type Endpoint, postJson } from './post-json.js';

export type Preference = 'first' | 'second' | 'tie';

/** A pair as a judge saw it in both orders. */
export interface PairJudgement {
  /** What the judge said in both orders; a tie where the orders disagree (position bias), or one is a tie. */
  readonly preferred: Preference;
  /** Which completion it preferred when they came as given, and when they came the other way round. */
  readonly asGiven: Preference;
  readonly reversed: Preference;
}

export interface Judge {
  /** A rating of one completion; null where the judge says that its criteria do not apply. @throws ScorerError */
  rate(item: ScorerItem): Promise<Answer>;
  /**
   * Which of two completions of a prompt is better, judged in both orders.
   * @throws ScorerError
   */
  compare(pair: {
    readonly prompt: string;
    readonly first: string;
    readonly second: string;
  }): Promise<PairJudgement>;
}

/** What a request took, by the endpoint's own count. */
export type OnUsage = (usage: { readonly tokens: number; readonly usd: number }) => Promise<void>;

/**
 * @param endpoint its URL is that of `/v1/chat/completions`
 * @example
 * const judge = createJudge(settings, { ...endpoint, onUsage: async () => {} });
 * const { preferred } = await judge.compare({ prompt: 'Say hello', first: 'Hello!', second: 'No.' });
 */
export function createJudge(
  settings: JudgeSettings,
  { onUsage, ...endpoint }: Endpoint & { readonly onUsage?: OnUsage },
): Judge {
  const { criteria, scale, scoreTemplate, pairTemplate, compareWith } = settings;
  const ask = async (content: string): Promise<string> => {
    const { text, usage } = readCompletion(
      await postJson(endpoint, requestOf(settings, content)),
      endpoint.name,
    );
    if (usage) await onUsage?.(costOf(usage, settings));
    return text;
  };
  const oneWay = async (prompt: string, first: string, second: string): Promise<'A' | 'B' | 'C'> => {
    const text = await ask(filled(pairTemplate, { prompt, first, second, criteria }));
    const verdict = verdictOf(text);
    if (verdict === 'A' || verdict === 'B' || verdict === 'C') return verdict;
    throw new ScorerError(
      'SCORER_ANSWER',
      `expected a verdict, [[A]], [[B]] or [[C]], got ${shown(verdict ?? text)}`,
    );
  };
  const compare: Judge['compare'] = async ({ prompt, first, second }) => {
    const [given, turned] = await Promise.all([oneWay(prompt, first, second), oneWay(prompt, second, first)]);
    const asGiven = ({ A: 'first', B: 'second', C: 'tie' } as const)[given];
    const reversed = ({ A: 'second', B: 'first', C: 'tie' } as const)[turned];
    return { preferred: asGiven === reversed ? asGiven : 'tie', asGiven, reversed };
  };
  return {
    async rate({ prompt: promptText, messages, completion, metadata }) {
      const prompt = messages ? dialogueOf(messages) : promptText;
      if (compareWith !== undefined) {
        const other = metadata?.[compareWith];
        // Without another text there is nothing to be better than.
        if (typeof other !== 'string') return null;
        const { preferred, asGiven, reversed } = await compare({ prompt, first: completion, second: other });
        const parts = { as_given: POINTS[asGiven], reversed: POINTS[reversed] };
        return { score: POINTS[preferred], parts };
      }
      const values = { prompt, completion, criteria, min: `${scale.min}`, max: `${scale.max}` };
      const text = await ask(filled(scoreTemplate, values));
      const verdict = verdictOf(text);
      if (verdict?.toUpperCase() === 'N/A') return null;
      const rating = verdict === undefined || verdict === '' ? Number.NaN : Number(verdict);
      if (rating >= scale.min && rating <= scale.max) return { score: rating };
      throw new ScorerError(
        'SCORER_ANSWER',
        `expected a rating from ${scale.min} to ${scale.max} as [[rating]], got ${shown(verdict ?? text)}`,
      );
    },
    compare,
  };
}

/** What a verdict is worth to the completion that came first. */
const POINTS = { first: 1, tie: 0.5, second: 0 } as const;

const requestOf = ({ model, system, temperature, maxTokens, seed }: JudgeSettings, content: string) => ({
  model,
  messages: [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    { role: 'user', content },
  ],
  temperature,
  max_tokens: maxTokens,
  ...(seed !== undefined && { seed }),
});

/** A conversation as people read it, without the marks by which a model's chat template puts it together. */
const dialogueOf = (messages: NonNullable<ScorerItem['messages']>): string =>
  messages
    .map(({ role, content, tool_calls: calls }) => {
      const said = [content, ...(calls ? [JSON.stringify(calls)] : [])].filter((text) => text !== '');
      return `${role}: ${said.join(' ')}`;
    })
    .join('\n');

/** The template with its names replaced in one pass: what is put in is never taken for a name. */
const filled = (template: string, values: Readonly<Record<string, string>>): string =>
  template.replaceAll(/\{\{(\w+)\}\}/g, (name, key: string) => values[key] ?? name);

/** What stands in the last `[[...]]` of the judge's words. */
const verdictOf = (text: string): string | undefined =>
  [...text.matchAll(/\[\[([^[\]]*)\]\]/g)].at(-1)?.[1]?.trim();

const ChatCompletion = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1),
  usage: z.object({ prompt_tokens: z.number().min(0), completion_tokens: z.number().min(0) }).nullish(),
});
type Usage = NonNullable<z.output<typeof ChatCompletion>['usage']>;

function readCompletion(json: unknown, name: string) {
  const result = ChatCompletion.safeParse(json);
  if (!result.success)
    throw new ScorerError(
      'SCORER_ANSWER',
      `expected ${name} to answer with a chat completion, got ${shown(json)}`,
    );
  const { choices, usage } = result.data;
  return { text: choices[0]!.message.content, usage };
}

const costOf = ({ prompt_tokens: input, completion_tokens: output }: Usage, { price }: JudgeSettings) => ({
  tokens: input + output,
  usd: price ? (input * price.input + output * price.output) / 1e6 : 0,
});
