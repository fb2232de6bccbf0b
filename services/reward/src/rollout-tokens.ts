/** A rollout in the tokens of the scorer that reads it. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import type { ArtifactRef, DataFor } from '@rlhf-streams/events';
import { readTokenizer, type Tokenizer, tokenizerDifference } from '@rlhf-streams/model/tokenizer';
import { artifactRoles, type RunView } from '@rlhf-streams/runs';

/** The tokenizer of the policy of a run. */
export type PolicyTokenizers = (run: RunView) => Promise<Tokenizer>;

export function policyTokenizers({ fetch }: Pick<ArtifactStore, 'fetch'>): PolicyTokenizers {
  const tokenizers = new Map<string, Promise<Tokenizer>>();
  const load = async (policy: ArtifactRef): Promise<Tokenizer> => {
    const tokenizer = await readTokenizer(await fetch(policy));
    if (!tokenizer) throw new Error('expected a policy with a tokenizer.json, got none');
    return tokenizer;
  };
  return (run) => {
    const policy = run.artifacts![artifactRoles.policy]!;
    const known = tokenizers.get(policy.sha256);
    if (known) return known;
    const loading = load(policy);
    tokenizers.set(policy.sha256, loading);
    loading.catch(() => tokenizers.delete(policy.sha256));
    return loading;
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
type Sampled = Readonly<Pick<DataFor<'rollout.generated'>, 'promptText' | 'text' | 'finishReason'>> & {
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
};

/**
 * The tokens as they were sampled, where the scorer has the policy's tokenizer. Another one encodes the text anew:
 * begun as its texts are, and ended as they are if the policy ended it. A completion that was cut off stays open.
 */
export function tokensFor(
  own: Tokenizer,
  policy: Tokenizer,
  { promptText, promptTokens, text, tokens, finishReason }: Sampled,
): readonly number[] {
  if (isSame(own, policy)) return [...promptTokens, ...tokens];
  const end = own.end.length > 0 ? own.end : [own.eosId];
  return [...own.begin, ...own.encode(promptText + text), ...(finishReason === 'stop' ? end : [])];
}
