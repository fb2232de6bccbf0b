/** Generated data of every type of event. */
import fc from 'fast-check';
import { itemId, rolloutId } from './ids.js';
import type { DataFor, EventType } from './topics.js';

const run = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/);
const count = fc.nat({ max: 1000 });
const text = fc.string({ unit: 'grapheme' });
/** 0 and not -0, which JSON does not know. */
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => (x === 0 ? 0 : x));
const tokens = fc.array(fc.nat({ max: 100_000 }), { maxLength: 5 });
const someTokens = fc.array(fc.nat({ max: 100_000 }), { minLength: 1, maxLength: 5 });
const learned = fc.array(fc.record({ from: count, count: count.map((n) => n + 1) }), {
  minLength: 1,
  maxLength: 3,
});
const logprob = number.map((x) => 0 - Math.abs(x));
const logprobs = fc.array(logprob, { maxLength: 5 });
const split = fc.constantFrom('train' as const, 'test' as const);
const cause = fc.record({ code: fc.string({ minLength: 1 }), message: text });
const replica = fc.string({ minLength: 1, maxLength: 200 });
const sha256 = fc.stringMatching(/^[0-9a-f]{64}$/);
const artifact = fc.record({ uri: fc.string({ minLength: 1 }), sha256 });
const model = fc.record({ base: artifact, adapter: artifact }, { requiredKeys: ['base'] });
const build = fc.record(
  {
    version: fc.string({ minLength: 1 }),
    code: text,
    revision: text,
    onnxruntime: text,
    platform: fc.string({ minLength: 1 }),
  },
  { requiredKeys: ['version', 'platform'] },
);
const names = fc.stringMatching(/^[a-z][a-z/_]{0,10}$/);
const byName = <T>(values: fc.Arbitrary<T>) =>
  fc.dictionary(names, values, { maxKeys: 4, noNullPrototype: true });
const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const config = byName(json);
/** What a template knows besides role and content stays in a message. */
const messages = fc.array(
  fc.record({ role: names, content: text, tool_calls: json }, { requiredKeys: ['role', 'content'] }),
  { minLength: 1, maxLength: 3 },
);
const tools = fc.array(config, { minLength: 1, maxLength: 2 });
const stream = {
  stream: fc.constantFrom('train' as const, 'evaluation' as const, 'pretraining' as const),
  kind: fc.constantFrom(
    'demonstrations' as const,
    'comparisons' as const,
    'thumbs' as const,
    'prompts' as const,
  ),
  split,
};
const rows = fc.oneof(fc.array(count, { maxLength: 5 }), fc.record({ from: count, count }));
const byTag = fc.dictionary(run, fc.string({ maxLength: 200 }), { maxKeys: 4, noNullPrototype: true });
const metrics = byName(number);

/** Where an item stands in its run, and the ids that follow from it. */
const item = fc
  .record({ run, step: count, index: count })
  .map(({ run, step, index }) => ({ run, step, id: itemId(run, step, index) }));
const prompt = item.map(({ run, step, id }) => ({ run, step, prompt: id }));
const rollout = fc
  .tuple(prompt, count)
  .map(([prompt, sample]) => ({ ...prompt, rollout: rolloutId(prompt.prompt, sample) }));
const subject = rollout.map(({ run, step, rollout }) => ({ run, step, subject: rollout }));

/** What stands where, and the rest. */
const and = <A extends object, B extends object>(a: fc.Arbitrary<A>, b: fc.Arbitrary<B>) =>
  fc.tuple(a, b).map(([x, y]) => ({ ...x, ...y }));
const runAnd = <A extends object>(a: fc.Arbitrary<A>) => and(fc.record({ run }), a);

const generation = fc.array(fc.tuple(fc.nat(), logprob), { minLength: 1, maxLength: 5 }).map((drawn) => ({
  tokens: drawn.map(([token]) => token),
  logprobs: drawn.map(([, logprob]) => logprob),
}));

/** What a prompt says of itself, and its rollouts repeat. */
const asked = {
  role: fc.constantFrom('policy', 'reference', 'scorer.0'),
  messages,
  tools,
  metadata: byName(json),
};

const completion = fc.record(
  { text, tokens: someTokens, score: number },
  { requiredKeys: ['text', 'tokens'] },
);
const ranking = fc
  .array(fc.tuple(completion, fc.integer({ min: 1, max: 9 })), { minLength: 2, maxLength: 4 })
  .map((ranked) => ({ completions: ranked.map(([c]) => c), ranks: ranked.map(([, rank]) => rank) }));

const opinion = fc.oneof(
  fc
    .tuple(
      fc.array(fc.tuple(text, fc.integer({ min: 1, max: 9 })), { minLength: 2, maxLength: 4 }),
      fc.option(number, { nil: undefined }),
    )
    .map(([ranked, margin]) => ({
      completions: ranked.map(([c]) => c),
      ranks: ranked.map(([, rank]) => rank),
      ...(margin !== undefined && { margin }),
    })),
  fc.record({ completion: text, label: fc.boolean() }),
);

export const dataOf: { readonly [Type in EventType]: fc.Arbitrary<DataFor<Type>> } = {
  'run.requested': fc.record(
    { run, config, experiment: run, order: count, tags: byTag },
    { requiredKeys: ['run', 'config'] },
  ),
  'run.started': fc.record(
    {
      run,
      config,
      steps: fc.integer({ min: 1, max: 1000 }),
      streams: fc.array(fc.record({ ...stream, items: count }), { maxLength: 2 }),
      testItems: count,
      models: byName(model),
      artifacts: byName(artifact),
      from: byName(fc.array(count, { maxLength: 6 })),
    },
    { requiredKeys: ['run', 'config', 'steps', 'testItems', 'models', 'artifacts', 'from'] },
  ),
  'run.archived': fc.record({
    run,
    archive: artifact,
    until: byName(fc.array(count, { maxLength: 6 })),
    counts: byName(count),
  }),
  'run.waiting': fc.record({
    run,
    step: count,
    waitingFor: byName(count),
    sinceMs: count,
    deadlineMs: count,
  }),
  'run.warning': fc.record({
    run,
    step: count,
    metric: text.map((name) => `m${name}`),
    direction: fc.constantFrom('above' as const, 'below' as const),
    value: number,
    threshold: number,
    message: text,
  }),
  'run.paused': fc.record({ run }),
  'run.resumed': fc.record({ run }),
  'run.build-changed': fc.record(
    { run, step: count, from: build, to: build },
    { requiredKeys: ['run', 'step', 'to'] },
  ),
  'run.completed': fc.record(
    { run, steps: count, policyVersion: count, reason: text },
    { requiredKeys: ['run', 'steps', 'policyVersion'] },
  ),
  'run.extended': fc.record({ run, steps: fc.integer({ min: 1, max: 1000 }) }),
  'run.failed': fc.record({ run, cause }),
  'run.cancelled': fc.record({ run, reason: text }),
  'step.issued': fc.record({
    run,
    step: count,
    streams: fc.array(
      fc.record(
        { ...stream, rows, samples: fc.integer({ min: 1, max: 64 }), minPolicyVersion: count },
        { requiredKeys: ['stream', 'kind', 'split', 'rows'] },
      ),
      { minLength: 1, maxLength: 2 },
    ),
  }),
  'prompt.issued': and(
    prompt,
    fc.record({
      ...asked,
      text,
      tokens: someTokens,
      samples: fc.integer({ min: 1, max: 64 }),
      minPolicyVersion: count,
      sampling: fc.record({
        temperature: number.map(Math.abs),
        topK: count,
        topP: fc.double({ min: 0, minExcluded: true, max: 1, noNaN: true }),
        maxNewTokens: fc.integer({ min: 1, max: 1000 }),
        stopTokens: tokens,
      }),
      seed: fc.integer(),
      timeoutMs: fc.integer({ min: 1 }),
    }),
  ),
  'rollout.generated': and(
    and(rollout, generation),
    fc.record({
      ...asked,
      promptText: text,
      promptTokens: someTokens,
      text,
      policyVersion: count,
      finishReason: fc.constantFrom('stop' as const, 'length' as const),
      temperature: number.map(Math.abs),
      sampler: fc.integer({ min: 1 }),
    }),
  ),
  'rollout.failed': and(rollout, fc.record({ policyVersion: count, cause })),
  'reward.scored': and(
    rollout,
    fc.record({ policyVersion: count, score: number, parts: byName(fc.option(number)) }),
  ),
  'reward.failed': and(rollout, fc.record({ policyVersion: count, cause })),
  'reference.scored': and(
    subject,
    fc.record(
      { policyVersion: count, logprobs: fc.array(logprobs, { maxLength: 3 }), reference: model },
      { requiredKeys: ['logprobs', 'reference'] },
    ),
  ),
  'reference.failed': and(subject, fc.record({ policyVersion: count, cause }, { requiredKeys: ['cause'] })),
  'demonstration.recorded': and(
    item.map(({ run, step, id }) => ({ run, step, demonstration: id })),
    fc.record(
      { split, promptTokens: tokens, tokens: someTokens, learned },
      { requiredKeys: ['split', 'promptTokens', 'tokens'] },
    ),
  ),
  'comparison.recorded': and(
    and(
      item.map(({ run, step, id }) => ({ run, step, comparison: id })),
      ranking,
    ),
    fc.record(
      {
        split,
        promptText: text,
        messages,
        tools,
        promptTokens: tokens,
        labeler: text,
        margin: number,
        metadata: byName(json),
      },
      { requiredKeys: ['split', 'promptText', 'promptTokens', 'labeler'] },
    ),
  ),
  'thumb.recorded': and(
    item.map(({ run, step, id }) => ({ run, step, thumb: id })),
    fc.record(
      {
        split,
        promptText: text,
        messages,
        tools,
        promptTokens: tokens,
        text,
        tokens: someTokens,
        label: fc.boolean(),
        mismatched: someTokens,
        labeler: text,
        metadata: byName(json),
      },
      {
        requiredKeys: [
          'split',
          'promptText',
          'promptTokens',
          'text',
          'tokens',
          'label',
          'mismatched',
          'labeler',
        ],
      },
    ),
  ),
  'feedback.recorded': and(
    opinion,
    fc.record(
      {
        feedback: fc.string({ minLength: 1, maxLength: 200 }),
        collection: run,
        prompt: fc.oneof(text, messages),
        labeler: fc.string({ minLength: 1, maxLength: 200 }),
        metadata: byName(json),
      },
      { requiredKeys: ['feedback', 'collection', 'prompt', 'labeler'] },
    ),
  ),
  'policy.published': runAnd(
    fc.record(
      { version: count, step: count, model, checkpoint: fc.record({ step: count, artifact }) },
      { requiredKeys: ['version', 'step', 'model'] },
    ),
  ),
  'replica.applied': runAnd(fc.record({ replica, version: count, fetchMs: number.map(Math.abs) })),
  'replica.behind': runAnd(
    fc.record(
      { replica, version: count, applied: count, cause },
      { requiredKeys: ['replica', 'version', 'cause'] },
    ),
  ),
  'step.completed': fc.record(
    { run, step: count, policyVersion: count, published: model, split, metrics },
    { requiredKeys: ['run', 'step', 'policyVersion', 'split', 'metrics'] },
  ),
  'record.rejected': fc.record({
    service: text,
    source: fc.record({ topic: text, partition: count, offset: count }),
    key: text,
    value: fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
    headers: byName(text),
    cause,
    attempts: fc.integer({ min: 1, max: 9 }),
  }),
};
