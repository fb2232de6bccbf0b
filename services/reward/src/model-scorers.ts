/** The scorers that are models: reward models in the compute thread, gold rewards here. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Projection } from '@rlhf-streams/bus';
import { modelKey } from '@rlhf-streams/events';
import { unlessMissing } from '@rlhf-streams/files';
import type { SequenceItem } from '@rlhf-streams/model';
import type { Tokenizer } from '@rlhf-streams/model/tokenizer';
import { isInUse, type RunView } from '@rlhf-streams/runs';
import { parseGoldReward, scoreGold } from '@rlhf-streams/sentiment';
import type { ServiceContext } from '@rlhf-streams/service';
import { createModelHost, type ModelHost, type ScoringSettings, startScoring } from '@rlhf-streams/serving';

/** What a model reads: the text or the tokens. */
export interface ModelInput {
  /** Prompt and completion. */
  readonly text: string;
  /** @param own the tokenizer that the reward model came with */
  readonly tokens: (own: Tokenizer) => Promise<readonly number[]>;
}

interface ModelScorer {
  score(input: ModelInput): Promise<number>;
}

/** Reward models, and gold rewards (`gold-reward.json`) by their artifact in place of a model's. */
export type ModelScorers = ModelHost<ModelScorer>;

/** The file that makes an artifact a gold reward. */
const GOLD_FILE = 'gold-reward.json';

export async function createModelScorers(
  context: ServiceContext<ScoringSettings>,
  runs: Projection<RunView>,
): Promise<ModelScorers> {
  const url = new URL('./thread.js', import.meta.url);
  const { load, unload } = await startScoring<SequenceItem, number>(context, url);
  return createModelHost<ModelScorer>(context, {
    what: 'scorer',
    async load(files) {
      const gold = await unlessMissing(readFile(join(files.folders.base, GOLD_FILE), 'utf8'));
      if (gold !== undefined) {
        const reward = parseGoldReward(gold);
        return { score: async ({ text }) => scoreGold(reward, text) };
      }
      const { score, tokenizer } = await load(files);
      if (!tokenizer)
        throw new Error(`expected scorer ${modelKey(files.ref)} to have a tokenizer.json, got none`);
      return { score: async ({ tokens }) => score({ tokens: await tokens(tokenizer) }) };
    },
    unload,
    isWanted: (ref) => isInUse(runs.state, ref),
  });
}
