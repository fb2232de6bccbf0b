/** The results of the experiment, read from the log: metrics by run, and the three policies on the held-out prompts. */

import type { ReadDependencies } from '@rlhf-streams/archive';
import type { Events } from '@rlhf-streams/bus';
import {
  type MetricSeries,
  meanEstimate,
  type PolicySummary,
  type SampleGroup,
  sequenceKl,
  winRate,
} from '@rlhf-streams/evaluation';
import { type RunView, readRuns } from '@rlhf-streams/runs';
import { EVALUATED, type Evaluated, evaluationOf } from '@rlhf-streams/sentiment';
import { type Episode, readEpisodes } from '../runs/read-episodes.js';

/** A rollout of a held-out prompt with its scores and its log-probs under the reference. */
type WholeEpisode = Required<Episode>;

export interface Results {
  readonly policies: readonly PolicySummary[];
  readonly samples: readonly SampleGroup[];
  /** Series by run. */
  readonly metrics: ReadonlyMap<string, readonly MetricSeries[]>;
}

const SAMPLES = 3;

export async function readResults(reading: ReadDependencies): Promise<Results> {
  const { events } = reading;
  const runs = await readRuns(events.readAll(['runs']));
  const episodes = Object.fromEntries(
    await Promise.all(
      EVALUATED.map(
        async (policy) => [policy, await episodesOf(reading, runs.get(evaluationOf(policy)))] as const,
      ),
    ),
  ) as Record<Evaluated, WholeEpisode[]>;
  const baseline = episodes.sft;
  const policies = EVALUATED.map((policy) =>
    summarise(policy, episodes[policy], policy === 'sft' ? undefined : baseline),
  );
  return { policies, samples: sideBySide(episodes), metrics: await metricsByRun(events) };
}

/** Completions of the first prompts that every policy completed. */
function sideBySide(episodes: Readonly<Record<Evaluated, readonly WholeEpisode[]>>): SampleGroup[] {
  const groups = episodes.sft.flatMap(({ rollout: { rollout, promptText } }) => {
    const completions = EVALUATED.flatMap((policy) => {
      const same = episodes[policy].find((episode) => place(episode.rollout.rollout) === place(rollout));
      return same
        ? [{ policy: policy.toUpperCase(), text: same.rollout.text, gold: same.reward.parts.gold! }]
        : [];
    });
    return completions.length === EVALUATED.length ? [{ prompt: promptText, completions }] : [];
  });
  return groups.slice(0, SAMPLES);
}

/** Episodes of a sampling run in the order of its prompts, which is the same in every evaluation. */
async function episodesOf(reading: ReadDependencies, view: RunView | undefined): Promise<WholeEpisode[]> {
  if (!view) return [];
  const episodes = await readEpisodes(reading, view);
  return episodes.filter(
    (episode): episode is WholeEpisode =>
      typeof episode.reward?.parts.gold === 'number' && episode.reference !== undefined,
  );
}

/** The index of a rollout's prompt in its step: the id of a rollout is RUN/STEP/PROMPT/SAMPLE. */
const place = (rollout: string): number => Number(rollout.split('/').at(-2));

function summarise(
  name: Evaluated,
  episodes: readonly WholeEpisode[],
  baseline: readonly WholeEpisode[] | undefined,
): PolicySummary {
  const gold = episodes.map(({ reward }) => reward.parts.gold!);
  const byPrompt = new Map(
    baseline?.map(({ rollout, reward }) => [place(rollout.rollout), reward.parts.gold!]),
  );
  const pairs = episodes.flatMap(({ rollout }, i) => {
    const b = byPrompt.get(place(rollout.rollout));
    return b === undefined ? [] : [{ a: gold[i]!, b }];
  });
  return {
    name: name.toUpperCase(),
    gold: meanEstimate(gold),
    goldScores: gold,
    score: meanEstimate(episodes.map(({ reward }) => reward.score)),
    kl: sequenceKl(
      episodes.map(({ rollout, reference }) => ({
        logprobs: rollout.logprobs,
        refLogprobs: reference.logprobs[0]!,
      })),
    ).k1,
    length: meanEstimate(episodes.map(({ rollout }) => rollout.tokens.length)),
    ...(baseline && { winRate: winRate(pairs) }),
  };
}

async function metricsByRun(events: Pick<Events, 'readAll'>): Promise<Map<string, MetricSeries[]>> {
  const byRun = new Map<string, Map<number, Record<string, number>>>();
  for await (const { data } of events.readAll(['training-metrics'])) {
    const steps = byRun.get(data.run) ?? new Map<number, Record<string, number>>();
    byRun.set(data.run, steps);
    if (!steps.has(data.step)) steps.set(data.step, data.metrics);
  }
  return new Map([...byRun].map(([run, steps]) => [run, seriesOf(steps)]));
}

function seriesOf(steps: ReadonlyMap<number, Record<string, number>>): MetricSeries[] {
  const ordered = [...steps].sort(([a], [b]) => a - b);
  const names = new Set(ordered.flatMap(([, metrics]) => Object.keys(metrics)));
  return [...names].map((name) => {
    const measured = ordered.filter(([, metrics]) => metrics[name] !== undefined);
    return {
      name,
      steps: measured.map(([step]) => step),
      values: measured.map(([, metrics]) => metrics[name]!),
    };
  });
}
