/** A rollout in the tokens of the scorer that reads it. */
import type { Projection } from '@rlhf-streams/bus';
import { type DataFor, type Message, modelKey, type Tools } from '@rlhf-streams/events';
import { assistantTurns, type Tokenizer, tokenizerDifference } from '@rlhf-streams/model/tokenizer';
import { artifactRoles, isInUse, type RunView } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { createModelHost, tokenizerIn } from '@rlhf-streams/serving';

export interface PolicyTokenizers {
  /** Works with the tokenizer of a run's policy. @throws as `ModelHost.use` does. */
  of<T>(run: RunView, work: (tokenizer: Tokenizer) => Promise<T>): Promise<T>;
}

export function createPolicyTokenizers(context: ServiceContext, runs: Projection<RunView>): PolicyTokenizers {
  const tokenizers = createModelHost<Tokenizer>(context, {
    what: 'policy tokenizer',
    async load({ ref, folders }) {
      const tokenizer = await tokenizerIn(folders);
      if (!tokenizer) throw new Error(`expected policy ${modelKey(ref)} to have a tokenizer.json, got none`);
      return tokenizer;
    },
    isWanted: (ref) => isInUse(runs.state, ref),
  });
  return {
    of: (run, work) => tokenizers.use(run.models![artifactRoles.policy]!, work),
  };
}

/** Whether a scorer's tokenizer is a policy's: they are compared once. */
const compared = new WeakMap<Tokenizer, WeakMap<Tokenizer, boolean>>();

function isSame(own: Tokenizer, policy: Tokenizer): boolean {
  const known = compared.get(own) ?? new WeakMap<Tokenizer, boolean>();
  compared.set(own, known);
  const same = known.get(policy) ?? tokenizerDifference(own.json, policy.json) === undefined;
  known.set(policy, same);
  return same;
}

/** What of a rollout its tokens are made from. */
type Sampled = Readonly<
  Pick<DataFor<'rollout.generated'>, 'promptText' | 'text' | 'finishReason' | 'messages' | 'tools'>
> & {
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
};

/**
 * The tokens as they were sampled, where the scorer has the policy's tokenizer. Another one encodes the text anew:
 * begun as its texts are, and ended as they are if the policy ended it. A completion that was cut off stays open. A
 * conversation is rendered by the scorer's own chat template, where it has one.
 */
export function tokensFor(
  own: Tokenizer,
  policy: Tokenizer,
  { promptText, promptTokens, text, tokens, finishReason, messages, tools }: Sampled,
): readonly number[] {
  if (isSame(own, policy)) return [...promptTokens, ...tokens];
  if (messages && own.hasChatTemplate)
    return answerTokens(own, messages, { text, tools, ends: finishReason === 'stop' });
  const end = own.end.length > 0 ? own.end : [own.eosId];
  return [...own.begin, ...own.encode(promptText + text), ...(finishReason === 'stop' ? end : [])];
}

/** A conversation with the assistant's answer, by the chat template of a scorer, up to where the answer's turn ends. */
export function answerTokens(
  own: Pick<Tokenizer, 'encode' | 'renderChat' | 'tokenOf' | 'eosId'>,
  messages: readonly Message[],
  {
    text,
    tools,
    ends,
  }: { readonly text: string; readonly tools?: Tools | undefined; readonly ends: boolean },
): number[] {
  const answered = [...messages, { role: 'assistant', content: text }];
  const end = own.tokenOf(own.eosId);
  const rendered = assistantTurns(own.renderChat, answered, {
    first: messages.length,
    endTexts: end === undefined ? [] : [end],
    tools,
  });
  const { ending } = rendered;
  if (!ends) return own.encode(rendered.text.slice(0, rendered.text.length - ending.length));
  return [...own.encode(rendered.text), ...(ending === '' ? [own.eosId] : [])];
}
