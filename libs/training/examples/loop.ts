/**
 * RLHF by PPO (Ouyang et al. 2022, step 3) from prompts to weights, in the order of the paper, without a service and without
 * a log: sample with the policy, score, ask the reference, update. The services do the same, and trade events between.
 *
 *   npm run build && node libs/training/dist/examples/loop.js my-policy
 *
 * The policy is a tiny GPT-2 with random weights. Its reward is the share of a completion that is lower-case letters.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createGenerator,
  initialiseWeights,
  keyFor,
  loadTokenizer,
  logprobScorer,
  newModelConfig,
  trainByteLevelBpe,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { type ConfigOf, type Item, parseRunConfig } from '@rlhf-streams/runs';
import { onnxEngine, onnxPool } from '@rlhf-streams/tensor';
import { openSession } from '@rlhf-streams/training';

const PROMPTS = ['The film', 'A story of', 'In the end', 'Nobody knows why'];
const SAMPLES = 16;
const STEPS = 15;

/** What the policy is rewarded for. */
const scoreOf = (text: string): number => (text.match(/[a-z]/g)?.length ?? 0) / Math.max(1, text.length);

/** Every hyperparameter that is not named here has TRL's default. Small models want larger learning rates. */
const run = parseRunConfig({
  run: 'loop',
  method: 'ppo',
  steps: STEPS,
  // Services would read these; here they are at hand.
  model: 'gpt2',
  prompts: 'prompts.jsonl',
  scorers: ['gold:bundled'],
  sampling: { temperature: 1, maxNewTokens: 8 },
  optimizer: { learningRate: 1e-2, schedule: 'constant' },
  ppo: { klCoef: 0.02, numPpoEpochs: 4 },
}) as ConfigOf<'ppo'>;

const { temperature } = run.sampling;

/** The name of the reference in its log-probs; in a service it is an artifact. */
const INITIAL = { base: { uri: 'artifact:initial-policy', sha256: '0'.repeat(64) } };

/** Trains, and writes the policy into a missing folder. @returns the mean score of each step's rollouts */
export async function trainByPpo(directory: string, report = console.log): Promise<number[]> {
  // A tokenizer, and the initial policy: what SFT would have made, and what the reference stays.
  const tokenizerFiles = trainByteLevelBpe(PROMPTS, { vocabSize: 300 });
  const tokenizer = loadTokenizer(tokenizerFiles.json, tokenizerFiles.config);
  const config = newModelConfig({
    architecture: 'gpt2',
    vocabSize: 300,
    contextLength: 32,
    layers: 2,
    width: 32,
    heads: 2,
  });
  const initial = initialiseWeights(config, run.seed);
  const work = await mkdtemp(join(tmpdir(), 'loop-'));
  const initialPolicy = join(work, 'initial-policy');
  await writeCheckpoint(initialPolicy, { config, tensors: initial, tokenizer: tokenizerFiles });
  const initialWeights = Object.fromEntries([...initial].map(([name, { data }]) => [name, data]));

  // Micro-batches are computed on two workers: policy and value model, optimizer and all.
  const engine = onnxPool({ workers: 2 });
  const { session } = await openSession({ config: run, models: { policy: { base: initialPolicy } }, engine });
  await rm(work, { recursive: true });
  const generator = createGenerator(onnxEngine(), config);
  const reference = logprobScorer(onnxEngine(), config, { hash: 'initial', values: initialWeights });

  const scores: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    // 1. The policy, as it is now, completes every prompt several times.
    const weights = { version: `${step}`, parameters: await session.parameters() };
    const rollouts = await Promise.all(
      PROMPTS.flatMap((promptText, index) =>
        Array.from({ length: SAMPLES }, async (_, sample) => {
          const prompt = `${run.run}/${step}/${index}`;
          const rollout = `${prompt}/${sample}`;
          const promptTokens = tokenizer.encode(promptText);
          const { tokens, logprobs, finishReason } = await generator.generate({
            weights,
            promptTokens,
            sampling: run.sampling,
            maxNewTokens: run.sampling.maxNewTokens,
            stopTokens: [tokenizer.eosId],
            key: keyFor(run.seed, rollout),
          });
          const text = tokenizer.decode(tokens, { skipSpecialTokens: true });
          const stamp = { run: run.run, step, prompt, rollout, policyVersion: step };
          const sampled = { role: 'policy', promptText, promptTokens, text, finishReason, temperature };
          return { ...stamp, ...sampled, tokens: [...tokens], logprobs: [...logprobs] };
        }),
      ),
    );

    // 2. Each completion gets a score, as a reward model or a person would give it.
    const rewards = rollouts.map(({ run, step, prompt, rollout, policyVersion, text }) => {
      const score = scoreOf(text);
      return { run, step, prompt, rollout, policyVersion, score, parts: { letters: score } };
    });

    // 3. The reference says how likely it finds each token: the policy pays for going away from it.
    const sequences = rollouts.map(({ promptTokens, tokens }) => {
      return { tokens: [...promptTokens, ...tokens], temperature };
    });
    const references = (await reference.score(sequences)).map((logprobs, i) => {
      const { run, step, rollout: subject, tokens } = rollouts[i]!;
      return { run, step, subject, logprobs: [[...logprobs.slice(-tokens.length)]], reference: INITIAL };
    });

    // 4. Values, advantages, and epochs of updates by the clipped objective: see src/methods/ppo.ts.
    const items = rollouts.map((rollout, i): Item => {
      return { id: rollout.rollout, rollout, reward: rewards[i]!, reference: references[i]! };
    });
    const { metrics } = await session.update(items);
    const { 'objective/scores': score, 'objective/kl': kl, 'policy/entropy_avg': entropy } = metrics;
    scores.push(score!);
    report(`step ${step}: score ${score!.toFixed(3)}, KL ${kl!.toFixed(3)}, entropy ${entropy!.toFixed(2)}`);
  }

  // 5. The weights, as transformers' `from_pretrained` reads them.
  await session.savePublished(directory);
  generator.close();
  await session.close();
  await engine.close();
  return scores;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? 'policy';
  if (existsSync(folder)) {
    console.error(`${folder} is already there: name another folder for the policy, or remove this one`);
    process.exit(2);
  }
  await trainByPpo(folder);
}
