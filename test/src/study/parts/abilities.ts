import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Evaluation, evaluationTables } from '@rlhf-streams/evaluation';
import { writeFileAtomically } from '@rlhf-streams/files';
import { parseRunConfig } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import { offPolicy, onPolicy, SAMPLING } from '../base.js';
import { failures, type Part, size } from '../part.js';

/** Words of a review that leave its sentiment open. */
const OPENING = 3;

const nameOf = (policy: string) => `study-abilities-${policy}`;

export const abilities: Part = {
  name: 'abilities',
  title: 'The alignment tax: multiple choice before and after each run',
  text: 'What runs cost of abilities that nobody rewarded (Ouyang et al. 2022, section 4.2), as a regression table: how PPO, PPO-ptx and DPO differ from the SFT policy that all three begin with, with intervals of the paired bootstrap over questions, one seed. A question of `sentences` is a review that no run trained on: the policy has to find it likelier than the same with a word from another review in its place. `facts` are general knowledge, of which a model of this size has none: it shows what no change looks like.',
  async answer(study, { evaluate }) {
    const ppo = { ...onPolicy(study, 'ppo'), ppo: { klCoef: 0.01, missingEosPenalty: 1 } };
    const trained = {
      ppo,
      'ppo-ptx': { ...ppo, pretraining: 'bundled', ppo: { ...ppo.ppo, ptxCoef: 2 } },
      dpo: { ...offPolicy(study, 'dpo'), dpo: { beta: 0.1 } },
    };
    const results = await evaluate(
      {
        evaluation: 'study-abilities',
        policies: {
          sft: 'run:sft',
          ...Object.fromEntries(Object.keys(trained).map((policy) => [policy, `run:${nameOf(policy)}`])),
        },
        reference: 'run:sft',
        sampling: SAMPLING,
        suites: [
          {
            name: 'reviews',
            kind: 'scores',
            prompts: 'bundled',
            heldOut: true,
            testFraction: 0.1,
            limit: size(study, 192, 16),
            scorers: ['gold:bundled'],
          },
          {
            name: 'sentences',
            kind: 'multiple_choice',
            data: await writeSentences(study.files, size(study, 512, 32)),
            template: '{question} {choice}',
            slices: ['sentiment'],
          },
          { name: 'facts', kind: 'multiple_choice', data: 'bundled:everyday' },
        ],
      },
      Object.entries(trained).map(([policy, run]) => parseRunConfig({ ...run, run: nameOf(policy) })),
    );
    if ('failed' in results) return { result: 'Nothing was measured.', tables: failures(results.failed) };
    const { policies, baseline, differences } = results;
    const ofSentences = policies
      .filter((policy) => policy !== baseline)
      .map((policy) => {
        const { mean, low, high } = differences.find(
          (each) => isAccuracy(each) && each.policy === policy,
        )!.estimate;
        const told = low > 0 || high < 0 ? '' : ', which the questions do not tell from none';
        return `${policy} ${points(mean)} [${points(low)}, ${points(high)}]${told}`;
      });
    return {
      result: `Points of accuracy that sentences are told apart with, against the SFT policy: ${ofSentences.join('; ')}.`,
      tables: evaluationTables(results),
      charts: [
        {
          title: 'Accuracy on sentences against gold reward',
          note: 'a point for each policy: up and to the right is better',
          x: 'gold reward of held-out prompts (mean of completions)',
          y: 'accuracy on sentences (share)',
          series: policies.map((name) => ({
            name,
            joined: 'none' as const,
            points: [{ x: measuredOf(results, name, isGold), y: measuredOf(results, name, isAccuracy) }],
          })),
        },
      ],
    };
  },
};

type Measured = Evaluation['measurements'][number] | Evaluation['differences'][number];
const isAccuracy = ({ suite, measure, slice }: Measured): boolean =>
  suite === 'sentences' && measure === 'accuracy' && slice === undefined;
const isGold = ({ suite, measure }: Measured): boolean => suite === 'reviews' && measure === 'score';

const measuredOf = ({ measurements }: Evaluation, policy: string, is: (each: Measured) => boolean): number =>
  measurements.find((each) => each.policy === policy && is(each))!.estimate.mean;

/** A share as points of a hundred, with its sign. */
const points = (share: number): string => `${share < 0 ? '\u2212' : '+'}${Math.abs(100 * share).toFixed(1)}`;

/** Reviews of another seed than that of the bundled data, each beside itself with the word that the next one has in some place. */
async function writeSentences(folder: string, count: number): Promise<string> {
  const reviews = bundledCorpus({ size: count + 1, seed: 1 }).map(({ text, label }) => ({
    words: text.split(' '),
    sentiment: label === 1 ? 'positive' : 'negative',
  }));
  const rows = reviews.slice(0, count).flatMap(({ words, sentiment }, index) => {
    const other = reviews[index + 1]!.words;
    const [question, rest] = [words.slice(0, OPENING), words.slice(OPENING)];
    const places = rest.flatMap((word, at) => {
      const theirs = other[OPENING + at];
      return theirs === undefined || theirs === word ? [] : [{ at, theirs }];
    });
    const place = places[index % places.length];
    if (place === undefined) return [];
    const changed = rest.with(place.at, place.theirs);
    return [
      { question: question.join(' '), choices: [rest.join(' '), changed.join(' ')], answer: 0, sentiment },
    ];
  });
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'sentences.jsonl');
  await writeFileAtomically(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return file;
}
