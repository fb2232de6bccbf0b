/**
 * Preferences by people, through the chat template of a real model. Neither is a part of this project: RLHF_TEST_SMOLLM2 names
 * a folder with SmolLM2-135M-Instruct's tokenizer, RLHF_TEST_DATA one with `hh-harmless` and `alpaca-eval`.
 */
import { join } from 'node:path';
import { loadDataset } from '@rlhf-streams/data';
import { readEndTokens, readTokenizer } from '@rlhf-streams/model';
import { type ComparisonItem, parseRunConfig } from '@rlhf-streams/runs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Encoder, encoderOf } from './encoder.js';
import { itemsOf } from './items.js';

const model = process.env.RLHF_TEST_SMOLLM2;
const data = process.env.RLHF_TEST_DATA;

describe.skipIf(!model || !data)(
  'real preferences (RLHF_TEST_SMOLLM2, RLHF_TEST_DATA)',
  { timeout: 120_000 },
  () => {
    let encoder: Encoder;
    let decode: (tokens: readonly number[]) => string;
    beforeAll(async () => {
      const tokenizer = (await readTokenizer(model!))!;
      encoder = encoderOf(tokenizer, { contextLength: 8192 }, await readEndTokens(model!, tokenizer));
      decode = (tokens) => tokenizer.decode(tokens);
    });
    const prepared = async (name: string, change: object) => {
      const allow = { dropped: 1, cut: 1 };
      const run = parseRunConfig({
        run: 'r',
        steps: 1,
        method: 'dpo',
        model: 'm',
        data: 'd',
        allow,
        ...change,
      });
      const { items, data: account } = itemsOf(run, await loadDataset(join(data!, name)), encoder);
      return { items: items as ComparisonItem[], account };
    };

    it('of hh-rlhf are transcripts that become conversations, of which none is lost', async () => {
      const { items, account } = await prepared('hh-harmless/test.jsonl', {});
      expect(account).toEqual({
        read: 200,
        used: 200,
        cut: 0,
        dropped: {},
        noted: { 'a transcript of Human and Assistant, read as messages': 200 },
      });
      for (const { messages, promptText, promptTokens, completions } of items) {
        expect(messages!.at(-1)!.role).toBe('user');
        expect(promptText.endsWith('<|im_end|>\n<|im_start|>assistant\n')).toBe(true);
        expect(decode(promptTokens)).toBe(promptText);
        for (const { text, tokens } of completions) {
          expect(decode(tokens)).toBe(`${text}<|im_end|>`);
          expect(text).not.toMatch(/\n\nHuman:/);
        }
      }
    });

    it('that are longer than the run takes are counted', async () => {
      const { account } = await prepared('hh-harmless/test.jsonl', { dpo: { maxLength: 256 } });
      const { 'longer than dpo.maxLength of 256 tokens': longer = 0, ...others } = account.dropped;
      expect(longer).toBeGreaterThan(20);
      expect(others).toEqual({});
      expect(account.used + longer).toBe(200);
    });

    it('of alpaca-eval are rankings of answers, and with chat conversations', async () => {
      const { items, account } = await prepared('alpaca-eval/test.jsonl', { chat: true });
      expect(account.read).toBe(account.used);
      expect(account.used).toBe(40);
      for (const { messages, promptText, completions, ranks } of items) {
        expect(messages).toHaveLength(1);
        expect(promptText).toContain(`<|im_start|>user\n${messages![0]!.content}<|im_end|>`);
        expect(completions).toHaveLength(ranks.length);
        for (const { text, tokens } of completions) expect(decode(tokens)).toBe(`${text}<|im_end|>`);
      }
    });
  },
);
