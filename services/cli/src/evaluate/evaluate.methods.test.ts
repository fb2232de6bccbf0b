/** The evaluation that the README shows, on tiny models: as runs over HTTP, left half done, and gone on with. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Evaluation } from '@rlhf-streams/evaluation';
import type { DataFor } from '@rlhf-streams/events';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { evaluate } from '../commands/evaluate.js';
import { openClient } from '../place/client.js';
import { startPlatform } from '../place/platform.js';
import { followRun } from '../runs/follow-run.js';
import { requestExperiment, requestRun } from '../runs/request-run.js';
import { planEvaluation } from './read-file.js';

let folder: string;
/** A judge who always prefers the answer that comes first. */
const judge = createServer(async (request, response) => {
  for await (const _ of request);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ choices: [{ message: { content: 'The first one. [[A]]' } }] }));
});
let environment: Record<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evaluate-'));
  await new Promise<void>((resolve) => judge.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(judge.address() as AddressInfo).port}/v1/chat/completions`;
  const scorers = join(folder, 'scorers.yaml');
  const settings = { url, model: 'm', compareWith: 'completion' };
  await writeFile(scorers, JSON.stringify({ llm: { judge: settings } }));
  environment = {
    RLHF_POLICY_THREADS: '1',
    RLHF_SCORING_THREADS: '1',
    RLHF_OPTIMIZER_WORKERS: '1',
    RLHF_SCORERS: scorers,
  };
});
afterAll(async () => {
  judge.closeAllConnections();
  judge.close();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** The README's file, with policies and data of a tiny size. */
async function evaluationOf(data: string, pairs: string) {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const [, yaml] = /```yaml\n(# eval\.yaml.*?)```/s.exec(readme)!;
  planEvaluation(parse(yaml!), 'README.md');
  const { suites, ...file } = parse(yaml!);
  const [wins, written, ...others] = suites;
  const tiny = {
    prompts: data,
    limit: 6,
    judges: [{ pairs: 'declared:llm' }, `gold:${data}`, 'feedback:people'],
    slices: ['label'],
  };
  return {
    ...file,
    policies: { sft: 'run:sft', other: 'run:other' },
    sampling: { temperature: 1, maxNewTokens: 6 },
    suites: [{ ...wins, ...tiny }, { ...written, prompts: pairs, judges: [`gold:${data}`] }, ...others],
  };
}

it('tells what two policies are worth, though it was interrupted', async () => {
  const data = join(folder, 'reviews.jsonl');
  const rows = bundledCorpus({ size: 150 }).map((row) => `${JSON.stringify(row)}\n`);
  await writeFile(data, rows.join(''));
  const pairs = join(folder, 'pairs.jsonl');
  const pair = { prompt: 'The film was', completion: ' wonderful and moving.' };
  await writeFile(pairs, `${JSON.stringify(pair)}\n`);
  const file = await evaluationOf(data, pairs);
  const directory = join(folder, 'runs');
  const sft = { method: 'sft' as const, data, batchSize: 4, optimizer: { learningRate: 3e-3 } };
  const model = { layers: 1, width: 32, heads: 2, contextLength: 128, vocabSize: 320 };

  const platform = await startPlatform({ directory, environment, logLevel: 'silent' });
  try {
    await requestRun(platform, { ...sft, run: 'sft', model, steps: 3 });
    await requestRun(platform, { ...sft, run: 'other', model: 'run:sft', steps: 2 });
    await followRun(platform, 'other', {});
    await requestExperiment(platform, planEvaluation(file, 'eval.yaml').experiment);
    for await (const { type } of platform.events.follow({ topics: ['rollouts'] }))
      if (type === 'rollout.generated') break;
    const seen = await (await platform.request('/v1/experiments/aligned')).json();
    expect(seen).toMatchObject({ experiment: 'aligned', runs: { length: 11 } });
  } finally {
    await platform.close();
  }

  const given: DataFor<'rollout.generated'>[] = [];
  const path = join(folder, 'eval.yaml');
  await writeFile(path, JSON.stringify(file));
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const said = vi.spyOn(console, 'log').mockImplementation(() => {});
  const progress = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await evaluate(path, { directory, logLevel: 'silent', signal: new AbortController().signal });
  const byPeople = {
    ...file,
    evaluation: 'people',
    suites: [{ ...file.suites[0], judges: ['feedback:people'] }],
  };
  const unjudged = join(folder, 'people.yaml');
  await writeFile(unjudged, JSON.stringify(byPeople));
  await expect(
    evaluate(unjudged, { directory, logLevel: 'silent', signal: new AbortController().signal }),
  ).rejects.toMatchObject({
    code: 'CLI_EVALUATION_EMPTY',
    message: expect.stringContaining('feedback:people has none'),
  });
  progress.mockRestore();
  const client = await openClient({ directory });
  for await (const { type, data } of client.events.readAll(['rollouts']))
    if (type === 'rollout.generated' && data.run === 'aligned.written.completions') given.push(data);
  await client.close();
  const words = said.mock.calls.join('\n');
  said.mockRestore();

  const json = await readFile(join(directory, 'evaluations/aligned/evaluation.json'), 'utf8');
  const { measurements, differences, failures, agreements } = JSON.parse(json) as Evaluation;
  expect(failures).toEqual([]);
  const overall = measurements.filter(({ slice }) => !slice);
  expect(overall.map(({ suite, measure, policy, estimate }) => [suite, measure, policy, estimate.n])).toEqual(
    expect.arrayContaining([
      ['reviews', 'win_rate', 'other', 6],
      ['reviews', 'score', 'sft', 6],
      ['reviews', 'kl', 'other', 6],
      ['reviews', 'length', 'other', 6],
      ['written', 'win_rate', 'sft', 1],
      ['written', 'win_rate', 'other', 1],
      ['facts', 'accuracy', 'sft', 36],
      ['facts', 'accuracy_norm', 'other', 36],
      ['truth', 'mc1', 'sft', 32],
      ['truth', 'mc2', 'other', 32],
      ['bias', 'stereotype_likelier', 'sft', 36],
    ]),
  );
  // Where a policy is its own reference, what it sampled has the same log-probs under both.
  expect(
    overall.find(({ measure, policy }) => measure === 'kl' && policy === 'sft')!.estimate.mean,
  ).toBeCloseTo(0, 4);
  const topics = measurements.filter(({ suite, policy, measure, slice }) =>
    Boolean(suite === 'facts' && policy === 'sft' && measure === 'accuracy' && slice),
  );
  expect(topics.reduce((sum, { estimate }) => sum + estimate.n, 0)).toBe(36);
  expect(
    differences.filter(({ slice }) => !slice).map(({ suite, measure }) => `${suite} ${measure}`),
  ).toEqual([
    'reviews score',
    'reviews kl',
    'reviews length',
    'written score',
    'written kl',
    'written length',
    'facts accuracy',
    'facts accuracy_norm',
    'truth mc1',
    'truth mc2',
    'bias stereotype_likelier',
  ]);
  // Whoever comes first wins: the orders disagree, which is a tie, and no verdict outlives a swap.
  const judged = overall.filter(({ by, suite }) => by === 'llm' && suite === 'reviews');
  expect(judged.map(({ measure, policy, estimate }) => [measure, policy, estimate.mean, estimate.n])).toEqual(
    expect.arrayContaining([
      ['win_rate', 'other', 0.5, 6],
      ['order_consistency', 'other', 0, 6],
    ]),
  );
  const between = { suite: 'reviews', between: ['gold', 'llm'] };
  expect(agreements.filter(({ slice }) => !slice)).toMatchObject([{ ...between, share: { n: 6 } }]);
  const labels = agreements.filter(({ slice }) => slice?.field === 'label');
  expect(labels.reduce((sum, { share }) => sum + share.n, 0)).toBe(6);
  expect(given).toMatchObject([{ text: pair.completion, finishReason: 'stop' }]);
  expect(given[0]!.logprobs.every((logprob) => logprob < 0)).toBe(true);
  for (const title of ['Differences from sft', 'Differences from sft, by topic', 'judges, by label'])
    expect(words).toContain(title);
  expect(words).toContain('no pair of suite reviews is in feedback:people');
  const csv = await readFile(join(directory, 'evaluations/aligned/evaluation.csv'), 'utf8');
  expect(csv.split('\r\n')).toHaveLength(measurements.length + differences.length + agreements.length + 2);
});
