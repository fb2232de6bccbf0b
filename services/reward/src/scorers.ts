/** Scorers by artifact: reward models in the compute thread, gold rewards here. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Projection } from '@rlhf-streams/bus';
import type { ArtifactRef } from '@rlhf-streams/events';
import { readTokenizer, type Tokenizer } from '@rlhf-streams/model/tokenizer';
import { artifactRoles, isInUse, type RunView, scorerName, scorersOf } from '@rlhf-streams/runs';
import { parseGoldReward, scoreGold } from '@rlhf-streams/sentiment';
import { type ComputeSettings, memoryLimit, type ServiceContext, startThread } from '@rlhf-streams/service';
import { batched, type LoadedArtifacts, loadArtifacts } from '@rlhf-streams/serving';
import type { RewardThread, ThreadOptions } from './thread.js';

/** What is scored: a scorer reads the text or the tokens. */
export interface Scored {
  readonly text: string;
  /** @param own the tokenizer that the reward model came with */
  readonly tokens: (own: Tokenizer) => Promise<readonly number[]>;
}

export interface Scorer {
  score(scored: Scored): Promise<number>;
}

/** By artifact: a gold reward (`gold-reward.json`) or a reward model. */
export type Scorers = LoadedArtifacts<Scorer>;

/** What each of a run's scorers says, by name; `score` is the first one's, which training uses. */
export async function scoreBy(
  scorers: Scorers,
  run: RunView,
  subject: Scored,
): Promise<{ score: number; parts: Record<string, number> }> {
  const parts = await Promise.all(
    scorersOf(run.config!).map(async (source, index) => {
      const artifact = run.artifacts![artifactRoles.scorer(index)]!;
      return [scorerName(source), await scorers.use(artifact, (scorer) => scorer.score(subject))] as const;
    }),
  );
  return { score: parts[0]![1], parts: Object.fromEntries(parts) };
}

/** The file that makes an artifact a gold reward. */
const GOLD_FILE = 'gold-reward.json';

export async function createScorers(
  context: ServiceContext<ComputeSettings>,
  runs: Projection<RunView>,
): Promise<Scorers> {
  const thread = await startThread<RewardThread>(context, new URL('./thread.js', import.meta.url), {
    name: 'reward',
    data: {
      device: context.settings.RLHF_DEVICE,
      memoryBytes: memoryLimit(context.settings),
    } satisfies ThreadOptions,
  });

  const load = async ({ sha256 }: ArtifactRef, directory: string): Promise<Scorer> => {
    const gold = await readIfThere(join(directory, GOLD_FILE));
    if (gold !== undefined) {
      const reward = parseGoldReward(gold);
      return { score: async ({ text }) => scoreGold(reward, text) };
    }
    const contextLength = await thread.load(sha256, directory);
    const score = batched(
      (sequences: readonly (readonly number[])[]) => thread.score(sha256, sequences),
      ({ length }) => length > contextLength,
    );
    const tokenizer = await readTokenizer(directory);
    if (!tokenizer) throw new Error(`expected scorer ${sha256} to have a tokenizer.json, got none`);
    return { score: async ({ tokens }) => score(await tokens(tokenizer)) };
  };

  return loadArtifacts(context, {
    what: 'scorer',
    load,
    unload: ({ sha256 }) => thread.unload(sha256),
    isWanted: (artifact) => isInUse(runs.state, artifact),
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
