import { describe, expect, it } from 'vitest';
import { comparisonsOf } from './comparisons.js';
import type { Label } from './label.js';
import { heldOutAgreements, labelerAgreements } from './label-agreement.js';
import { measureLabels } from './measure-labels.js';
import { readLabels } from './read-labels.js';
import { labelsCsv, labelTables } from './results.js';

const row = (fields: Record<string, unknown>) => ({
  prompt: 'p',
  completion: 'c',
  labeler: 'ann',
  ...fields,
});
const labels = (...rows: Record<string, unknown>[]): Label[] =>
  readLabels(
    rows.map((fields) => row(fields)),
    'labels.csv',
  );

describe('labels of a file', () => {
  it('are read alike from cells of text and from JSON, without what was not asked', () => {
    const text = { overall_quality: '6', hallucination: 'No', sexual_content: '1', rank: '2', language: '' };
    const json = { overall_quality: 6, hallucination: false, sexual_content: 1, rank: 2, language: null };
    const read = row({ overall_quality: 6, hallucination: false, sexual_content: true, rank: 2, shift: 'b' });
    expect(labels({ ...text, shift: 'b' })).toEqual([read]);
    expect(labels({ ...json, shift: 'b' })).toEqual([read]);
    expect(labels({ labeler: 7, prompt: '', hallucination: 'yes' })).toEqual([
      { ...row({ hallucination: true }), labeler: '7', prompt: '' },
    ]);
    const conversation = row({ prompt: [{ role: 'user', content: 'Hi', name: 'me' }], hallucination: true });
    expect(labels(conversation)).toEqual([conversation]);
  });

  it.each([
    [
      { prompt: [{ role: 'user' }], overall_quality: 1 },
      'row 2, prompt: expected the text of a prompt, or its messages as a list of {role, content}, got [{"role":"user"}]',
    ],
    [
      { overall_quality: '8' },
      'row 2, overall_quality: expected a whole number from 1 (worst) to 7 (best), got "8"',
    ],
    [
      { overall_quality: 6.5 },
      'row 2, overall_quality: expected a whole number from 1 (worst) to 7 (best), got 6.5',
    ],
    [
      { hallucination: 'maybe' },
      'row 2, hallucination: expected yes or no, true or false, 1 or 0, got "maybe"',
    ],
    [{ rank: 0 }, 'row 2, rank: expected a rank: a whole number from 1, the best, got 0'],
    [{ rank: 1, labeler: '' }, 'row 2, labeler: expected the id of a labeler, got nothing'],
    [{ rank: 1, completion: null }, 'row 2, completion: expected the text of a completion, got nothing'],
    [{}, 'row 2: expected a judgment'],
    [{ rank: 1, completion: 'c' }, 'got a second of ann, after row 1'],
  ])('with %j are refused by row and column', (second, said) => {
    expect(() => labels({ rank: 1 }, { completion: 'other', ...second })).toThrow(said);
    expect(() => labels({ rank: 1 }, { completion: 'other', ...second })).toThrow(
      expect.objectContaining({ code: 'EVALUATION_BAD_LABEL' }),
    );
  });

  it('have numbers of scorers, or none', () => {
    expect(
      readLabels([row({ rank: 1, reward: '-0.5' }), row({ rank: 1, completion: 'd' })], 'f', {
        scores: ['reward'],
      }),
    ).toEqual([row({ rank: 1, reward: -0.5 }), row({ rank: 1, completion: 'd' })]);
    expect(() => readLabels([row({ rank: 1, reward: 'high' })], 'f', { scores: ['reward'] })).toThrow(
      'row 1, reward: expected a scorer\'s number, got "high"',
    );
  });

  it('tell every mistake, up to twenty', () => {
    const rows = Array.from({ length: 25 }, (_, i) => ({ rank: 'x', completion: String(i) }));
    expect(() => labels(...rows)).toThrow(/row 1,.*row 20,.*and 5 more$/s);
    expect(() => readLabels([], 'labels.csv')).toThrow('labels.csv: expected at least one row');
  });
});

describe('measures of labels', () => {
  it('are means of quality and shares of yes, by slices too', () => {
    const found = measureLabels(
      labels(
        { completion: '1', overall_quality: 2, language: 'de', hallucination: true },
        { completion: '2', overall_quality: 4, language: 'de', hallucination: false },
        { completion: '3', overall_quality: 6, language: 'en' },
        { completion: '4', hallucination: false },
      ),
      { seed: 0, slices: ['language'] },
    );
    const brief = found.map(({ measure, slice, estimate }) => [
      measure,
      slice?.value,
      estimate.mean,
      estimate.n,
    ]);
    expect(brief).toEqual([
      ['overall_quality', undefined, 4, 3],
      ['hallucination', undefined, 1 / 3, 3],
      ['overall_quality', 'de', 3, 2],
      ['hallucination', 'de', 0.5, 2],
      ['overall_quality', 'en', 6, 1],
    ]);
    // t(2) = 4.302653 and s = 2: 4 +- 4.302653 * 2 / sqrt(3).
    expect(found[0]!.estimate.high).toBeCloseTo(8.96828, 4);
    expect(found[0]!.bootstrap!.low).toBeGreaterThanOrEqual(2);
    // Wilson's interval of 1 in 3: (1/3 + z²/6 +- z sqrt((2/9 + z²/12) / 3)) / (1 + z²/3), z = 1.96.
    expect(found[1]!.estimate.low).toBeCloseTo(0.06149, 4);
    expect(found[1]!.estimate.high).toBeCloseTo(0.79234, 4);
  });
});

/** What each labeler says of each completion in a column. */
const said = (
  column: string,
  byLabeler: Record<string, unknown[]>,
  fields: Record<string, unknown> = {},
): Label[] =>
  labels(
    ...Object.entries(byLabeler).flatMap(([labeler, values]) =>
      values.map((value, i) => ({ labeler, completion: `c${i}`, [column]: value, ...fields })),
    ),
  );

describe('agreement of labelers', () => {
  it("is Cohen's kappa of two", () => {
    // Same on 3 of 4; chance is .5 * .25 + .5 * .75 = .5.
    const two = said('hallucination', { ann: ['yes', 'yes', 'no', 'no'], ben: ['yes', 'no', 'no', 'no'] });
    const [found] = labelerAgreements(two, 'all labelers', { seed: 0 });
    expect(found).toMatchObject({ statistic: 'Cohen', share: { mean: 0.75, n: 4 }, kappa: 0.5, ratings: 2 });
  });

  it("is Fleiss' kappa of more, on items of as many ratings", () => {
    const three = [
      ...said('hallucination', { ann: ['yes', 'no'], ben: ['yes', 'no'], cem: ['no', 'no'] }),
      ...labels({ completion: 'of one', hallucination: 'yes' }),
    ];
    const [found] = labelerAgreements(three, 'all labelers', { seed: 0 });
    // Pairs that agree: 1/3 and 1. Chance: (2/6)² + (4/6)² = 5/9. (2/3 - 5/9) / (1 - 5/9) = 1/4.
    expect(found).toMatchObject({ statistic: 'Fleiss', labelers: 3, ratings: 3, share: { n: 2 } });
    expect(found!.share.mean).toBeCloseTo(2 / 3, 12);
    expect(found!.kappa).toBeCloseTo(0.25, 12);
  });

  it('takes preferences from ranks, and from quality where there are none', () => {
    const ranks = said('rank', { ann: [1, 2, 2] });
    const qualities = said('overall_quality', { ben: [7, 5, 3] });
    const [found] = labelerAgreements([...ranks, ...qualities], 'all labelers', { seed: 0 });
    expect(found).toMatchObject({ measure: 'preference', share: { n: 3 } });
    expect(found!.share.mean).toBeCloseTo(2 / 3, 12);
  });
});

describe('agreement of slices', () => {
  const judged = (labeler: string, language: string, good: number, bad: number) => [
    { labeler, language, prompt: language, completion: 'a', policy: 'ppo', overall_quality: good },
    { labeler, language, prompt: language, completion: 'b', policy: 'sft', overall_quality: bad },
  ];
  const all = labels(
    ...judged('ann', 'en', 7, 3),
    ...judged('ben', 'en', 6, 3),
    ...judged('zoe', 'en', 6, 3),
    ...judged('ann', 'de', 5, 4),
    ...judged('ben', 'de', 4, 6),
    ...judged('zoe', 'de', 4, 6),
  );
  const two = all.filter(({ labeler }) => labeler !== 'zoe');

  it('is that of their labels; a preference is in the slice of both of its completions', () => {
    const found = labelerAgreements(two, 'all labelers', { seed: 0, slices: ['language', 'policy'] });
    expect(
      found.map(({ measure, slice, share }) => [measure, slice?.field, slice?.value, share.mean, share.n]),
    ).toEqual([
      ['preference', undefined, undefined, 0.5, 2],
      ['overall_quality', undefined, undefined, 0.25, 4],
      ['preference', 'language', 'de', 0, 1],
      ['overall_quality', 'language', 'de', 0, 2],
      ['preference', 'language', 'en', 1, 1],
      ['overall_quality', 'language', 'en', 0.5, 2],
      ['overall_quality', 'policy', 'ppo', 0, 2],
      ['overall_quality', 'policy', 'sft', 0.5, 2],
    ]);
  });

  it('of held-out labelers is with what all training labelers said, by whoever and of whatever', () => {
    const isHeldOut = ({ labeler }: Label) => labeler === 'zoe';
    const found = heldOutAgreements(all, { isHeldOut, slices: ['language', 'labeler'] }).filter(
      ({ measure, with: who, slice }) =>
        measure === 'preference' && who === 'held-out labelers' && slice !== undefined,
    );
    expect(
      found.map(({ predictor, slice, share }) => [predictor, slice!.value, share.mean, share.n]),
    ).toEqual([
      // In German the training labelers disagree, so that their majority is a tie; their mean quality is higher for sft in German, and for ppo over both languages.
      ['majority of training labelers', 'de', 0, 1],
      ['policies by quality', 'de', 0, 1],
      ['majority of training labelers', 'en', 1, 1],
      ['policies by quality', 'en', 1, 1],
      ['majority of training labelers', 'zoe', 0.5, 2],
      ['policies by quality', 'zoe', 0.5, 2],
    ]);
  });
});

describe('kappa of preferences', () => {
  const pairsOf = (labeler: string, ranks: readonly (readonly [number, number])[]) =>
    ranks.flatMap(([one, other], i) => [
      { labeler, prompt: `p${i}`, completion: 'a', rank: one },
      { labeler, prompt: `p${i}`, completion: 'b', rank: other },
    ]);
  const [a, b] = [
    [1, 2],
    [2, 1],
  ] as const;

  it.each([
    // Chance is a half in both orders, whichever of the two texts stands first: (3/4 - 1/2) / (1 - 1/2), and 1.
    ['agreement on three of four', [a, a, a, a], [a, a, a, b], 0.5],
    ['agreement on one and the same text', [a, a], [a, a], 1],
  ])('does not depend on which completion stands first: %s', (_, ann, ben, kappa) => {
    const all = labels(...pairsOf('ann', ann), ...pairsOf('ben', ben));
    expect(labelerAgreements(all, 'all labelers', { seed: 0 })[0]).toMatchObject({
      measure: 'preference',
      kappa,
      share: { n: ann.length },
    });
    const [heldOut] = heldOutAgreements(all, { isHeldOut: ({ labeler }) => labeler === 'ben' });
    expect(heldOut).toMatchObject({ measure: 'preference', kappa, share: { n: ann.length } });
    // Fleiss' kappa of three labelers, two of whom always agree, is 1 only where the third agrees too.
    const three = labels(...pairsOf('ann', ann), ...pairsOf('ben', ben), ...pairsOf('cem', ann));
    const [fleiss] = labelerAgreements(three, 'all labelers', { seed: 0 });
    // Pairs that agree: of the three of four prompts all, of the fourth one in three: (5/6 - 1/2) / (1 - 1/2).
    expect(fleiss!.kappa).toBeCloseTo(kappa === 1 ? 1 : 2 / 3, 12);
  });
});

describe('agreement with held-out labelers', () => {
  const isHeldOut = ({ labeler }: Label) => labeler === 'zoe';
  const between = (labels: Label[], scores: string[] = []) =>
    heldOutAgreements(labels, { isHeldOut, scores }).map(({ measure, predictor, with: who, share }) => [
      ...[measure, predictor, who, share.mean, share.n],
    ]);

  it('is that of the majority of the others, where there is one', () => {
    const all = said('hallucination', {
      ann: ['yes', 'yes', 'no'],
      ben: ['yes', 'no', 'no'],
      zoe: ['yes', 'yes', 'yes'],
    });
    expect(between(all)).toEqual([
      ['hallucination', 'majority of training labelers', 'held-out labelers', 0.5, 2],
      ['hallucination', 'majority of training labelers', 'training labelers', 2 / 3, 6],
    ]);
  });

  it('is that of a ranking of policies, and of scores, which the held-out labels do not change', () => {
    const judged = (labeler: string, good: number, bad: number) => [
      { labeler, completion: 'a', policy: 'ppo', overall_quality: good, reward: 0.1 },
      { labeler, completion: 'b', policy: 'sft', overall_quality: bad, reward: 0.9 },
    ];
    const all = labels(...judged('ann', 6, 3), ...judged('zoe', 5, 1));
    const preferences = between(all, ['reward']).filter(([measure]) => measure === 'preference');
    expect(preferences).toEqual([
      ['preference', 'majority of training labelers', 'held-out labelers', 1, 1],
      ['preference', 'policies by quality', 'held-out labelers', 1, 1],
      ['preference', 'reward', 'held-out labelers', 0, 1],
      ['preference', 'reward', 'training labelers', 0, 1],
    ]);
    // The held-out labeler's own opinions make no ranking of policies: hers alone would be the other way around.
    const [, policies] = between(labels(...judged('ann', 6, 3), ...judged('zoe', 1, 7)));
    expect(policies).toEqual(['preference', 'policies by quality', 'held-out labelers', 0, 1]);
  });

  it('refuses nobody held out, and nobody left', () => {
    expect(() => between(said('rank', { ann: [1] }))).toThrow('got 0 labels of the former');
    expect(() => between(said('rank', { zoe: [1] }))).toThrow('0 of the latter');
  });
});

it('rankings go as feedback, with all that was said of each completion', () => {
  const all = labels(
    { completion: 'a', rank: 2, policy: 'ppo', language: 'de', overall_quality: 3, hallucination: 'yes' },
    { completion: 'b', rank: 1, language: 'de', overall_quality: 6 },
    { completion: 'of no rank', overall_quality: 6 },
    { labeler: 'ben', rank: 1 },
  );
  const [found, ...others] = comparisonsOf(all, 'labels');
  expect(readLabels([found], 'labels.jsonl')).toEqual(all.slice(0, 2));
  expect(others).toEqual([]);
  expect(found).toEqual({
    feedback: expect.stringMatching(/^[0-9a-f]{32}$/),
    collection: 'labels',
    prompt: 'p',
    completions: ['a', 'b'],
    ranks: [2, 1],
    labeler: 'ann',
    metadata: {
      language: 'de',
      labels: [{ policy: 'ppo', overall_quality: 3, hallucination: true }, { overall_quality: 6 }],
    },
  });
});

it('labels come back from feedback, whose mistakes are told by completion', () => {
  const about = { feedback: 'f', collection: 'c', prompt: 'p', labeler: 'ann' };
  const thumb = { ...about, completion: 'c', label: true };
  expect(
    readLabels([{ ...thumb, metadata: { language: 'de', labels: [{ hallucination: false }] } }], 'f'),
  ).toEqual([row({ label: true, language: 'de', hallucination: false })]);
  const ranking = { ...about, completions: ['a', 'b'], ranks: [1, 2] };
  expect(() => readLabels([{ ...ranking, metadata: { labels: [{}, { overall_quality: 0 }] } }], 'f')).toThrow(
    'row 1, completion 2, overall_quality: expected a whole number',
  );
  expect(() =>
    readLabels(
      [
        { ...ranking, ranks: [1] },
        { ...ranking, metadata: { labels: [{}] } },
      ],
      'f',
    ),
  ).toThrow(
    /row 1, ranks: expected one for each of 2 completions, got 1\n {2}row 2, metadata\.labels: .* got 1$/,
  );
});

it('results are tables, and lines of .csv', () => {
  const all = said('hallucination', { ann: ['yes', 'no'], zoe: ['yes', 'yes'] }, { language: 'de' });
  const isHeldOut = ({ labeler }: Label) => labeler === 'zoe';
  const results = {
    ...{ labels: 4, labelers: ['ann', 'zoe'], heldOut: ['zoe'] },
    measurements: measureLabels(all, { seed: 0, slices: ['labeler'] }),
    agreements: labelerAgreements(all, 'all labelers', { seed: 0, slices: ['language'] }),
    heldOutAgreements: heldOutAgreements(all, { isHeldOut, slices: ['language'] }),
  };
  const tables = labelTables(results);
  for (const { head, rows } of tables) for (const row of rows) expect(row).toHaveLength(head.length);
  expect(tables.map(({ title, rows }) => [title, rows[0]!.slice(0, 4)])).toEqual([
    ['Labels', ['hallucination', '75 % [30, 95]', '4']],
    ['Labels, by labeler', ['hallucination', 'ann', '50 % [9, 91]', '2']],
    ['Agreement of labelers', ['hallucination', 'all labelers', '50 % [9, 91]', '0.00 Cohen']],
    ['Agreement of labelers, by language', ['hallucination', 'all labelers', 'de', '50 % [9, 91]']],
    [
      'Agreement with held-out labelers',
      ['hallucination', 'majority of training labelers', 'held-out labelers', '50 % [9, 91]'],
    ],
    [
      'Agreement with held-out labelers, by language',
      ['hallucination', 'majority of training labelers', 'held-out labelers', 'de'],
    ],
  ]);
  const lines = labelsCsv(results).trimEnd().split('\r\n');
  expect(lines).toHaveLength(8);
  expect(lines.map((line) => line.split(',').length)).toEqual(lines.map(() => 14));
  expect(lines[2]).toMatch(/^label,hallucination,labeler,ann,,,0\.5,/);
  expect(lines[5]).toMatch(/^agreement,hallucination,language,de,,all labelers,0\.5,/);
  expect(lines[7]).toMatch(/^held_out,hallucination,language,de,majority of training labelers,/);
});
