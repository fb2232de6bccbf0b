/** A tiny run of every method, on sources that are made once. */
import type { RunConfigInput } from '@rlhf-streams/runs';
import { tinyComparisons, tinyDpo, tinyKto, tinyPpo, tinyReward, tinySft } from '../platform/tiny-runs.js';

const extent = { steps: 6, checkpointEvery: 2 };
const [sft, comparisons] = ['run:sft', 'run:comparisons'];

/** What the runs of the methods start from and learn of. */
export const sourceRuns = (data: string): RunConfigInput[] => [tinySft(data), tinyComparisons(data)];

/** By a name that says which variant of a method it is. @param data.thumbs is made by `writeThumbs` */
export function methodRuns({
  data,
  thumbs,
}: {
  readonly data: string;
  readonly thumbs: string;
}): Record<string, RunConfigInput> {
  const { ppo: _, ...rewarded } = { ppo: {}, ...tinyPpo(data, sft), ...extent };
  return {
    sft: { ...tinySft(data), ...extent, model: sft },
    reward: { ...tinyReward(), ...extent, data: comparisons },
    ppo: { ...rewarded, method: 'ppo', ppo: { numPpoEpochs: 2, numMiniBatches: 2, adaptiveKl: {} } },
    reinforce: { ...rewarded, method: 'reinforce' },
    dpo: { ...tinyDpo(), ...extent },
    'dpo-simpo': { ...tinyDpo(), ...extent, dpo: { lossType: 'simpo', beta: 2 } },
    kto: { ...tinyKto(), ...extent, data: thumbs },
    'online-dpo': {
      ...rewarded,
      method: 'onlineDpo',
      samplesPerPrompt: 3,
      onlineDpo: { labels: 'sampled', alpha: 0.05 },
    },
  };
}
