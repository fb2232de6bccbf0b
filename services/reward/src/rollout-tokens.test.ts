import { loadTokenizer, type Tokenizer, trainByteLevelBpe } from '@rlhf-streams/model';
import { describe, expect, it } from 'vitest';
import { tokensFor } from './rollout-tokens.js';

const texts = ['the film was the best film', 'a film of the best kind'];
const tokenizerOf = (vocabSize: number, postProcessor?: object): Tokenizer => {
  const { json, config } = trainByteLevelBpe(texts, { vocabSize });
  return loadTokenizer(
    { ...(json as object), ...(postProcessor && { post_processor: postProcessor }) },
    config,
  );
};
const policy = tokenizerOf(270);
const other = tokenizerOf(262);
/** A text letter by letter, which is not how the policy's tokenizer encodes it. */
const letters = [...'film'].map((letter) => policy.idOf(letter)!);
const rollout = {
  promptText: 'the best',
  promptTokens: [policy.eosId, ...policy.encode('the best')],
  text: 'film',
  tokens: [...letters, policy.eosId],
  finishReason: 'stop',
} as const;
const sampled = [...rollout.promptTokens, ...rollout.tokens];

describe('a rollout is scored', () => {
  it("by the tokens that were sampled, where the scorer has the policy's tokenizer", () => {
    expect(tokensFor(policy, policy, rollout)).toEqual(sampled);
    expect(tokensFor(tokenizerOf(270), policy, rollout)).toEqual(sampled);
  });

  it('by its text in the tokens of another tokenizer, ended if the policy ended it', () => {
    const anew = [other.eosId, ...other.encode('the bestfilm')];
    expect(tokensFor(other, policy, rollout)).toEqual([...anew, other.eosId]);
    const cut = { ...rollout, tokens: letters, finishReason: 'length' } as const;
    expect(tokensFor(other, policy, cut)).toEqual(anew);
  });

  it('as the texts of that tokenizer begin and end', () => {
    const framed = tokenizerOf(262, { type: 'BertProcessing', cls: ['!', 7], sep: ['?', 9] });
    expect(tokensFor(framed, policy, rollout)).toEqual([7, ...framed.encode('the bestfilm'), 9]);
  });

  it('by the chat template of that tokenizer, where the prompt was a conversation and it has one', () => {
    const { json, config } = trainByteLevelBpe(texts, { vocabSize: 262 });
    const chat_template =
      "{% for m in messages %}{{ '<' + m.role + '>' + m.content + eos_token }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
    const chat = loadTokenizer(json, { ...(config as object), chat_template });
    const messages = [{ role: 'user', content: 'the best' }];
    const asked = `<user>the best<|endoftext|>\n<assistant>film`;
    expect(tokensFor(chat, policy, { ...rollout, messages })).toEqual(chat.encode(`${asked}<|endoftext|>`));
    const cut = { ...rollout, messages, finishReason: 'length' } as const;
    expect(tokensFor(chat, policy, cut)).toEqual(chat.encode(asked));
    expect(tokensFor(other, policy, { ...rollout, messages })).toEqual(tokensFor(other, policy, rollout));
  });
});
