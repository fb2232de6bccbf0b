/**
 * The registry of topics and their events. It is one file, however long, so that a reader finds all events in one
 * place, in the order in which they flow.
 */
import { z } from 'zod';
import { type DataOf, defineEvent, defineTopic, type EventOf, type NewDataOf } from './define.js';
import { policyPublished1, referenceScored1, runStarted1, stepCompleted1 } from './earlier.js';
import {
  ArtifactRef,
  Build,
  Cause,
  CollectionName,
  DataAccount,
  DataAccounts,
  ExperimentName,
  GivenCompletion,
  Learned,
  LogPositions,
  Logprobs,
  Message,
  Metadata,
  ModelRecord,
  ModelRef,
  PolicyVersion,
  RunId,
  RunStream,
  Sampling,
  ScorerName,
  Sha256,
  Split,
  Step,
  StepStamp,
  StepStream,
  Tags,
  Text,
  Tokens,
  Tools,
} from './schemas.js';

/** A run's configuration travels as plain JSON; its schema belongs to the methods (`@rlhf-streams/runs`). */
const Config = z.record(z.string(), z.unknown());

const DAY = 24 * 60 * 60 * 1000;
const Conversation = z.array(Message).min(1);
/** Fields that a prompt has beside its text where it was made of a conversation. */
const conversation = {
  messages: Conversation.optional().describe(
    'the conversation that the prompt was made of, if it was made of one',
  ),
  tools: Tools.optional().describe('what the assistant may call in it'),
};

/** Work in flight stays on its topics for a week at least, and until its run is archived; the archive is kept as artifacts are. */
const WEEK = 7 * DAY;
const PARTITIONS = 6;

const PausedBy = z.string().optional().describe('the service that met what the run waits for');

const runs = defineTopic({
  name: 'runs',
  description: 'Life cycle of runs',
  key: (data) => data.run,
  partitions: PARTITIONS,
  cleanup: 'delete',
  state: true,
  events: [
    defineEvent(
      'run.requested',
      1,
      'Somebody asks for a run',
      z.object({
        run: RunId,
        config: Config,
        experiment: ExperimentName.optional().describe('the runs that were asked for together'),
        order: z
          .int()
          .min(0)
          .optional()
          .describe('where the run stands among those of its experiment, from 0'),
        tags: Tags.optional(),
      }),
    ),
    defineEvent(
      'run.started',
      3,
      'The coordinator has resolved what the run names; from here on nothing about it changes',
      z.object({
        run: RunId,
        config: Config,
        steps: z.int().min(1).describe('training steps'),
        streams: z
          .array(RunStream)
          .optional()
          .describe(
            'what its steps draw from. A run without them is of an earlier build: it lists no steps, and its held-out items are evaluated in one more step',
          ),
        testItems: z.int().min(0).describe('held-out items that are evaluated'),
        models: z.record(z.string(), ModelRef).describe('the models that it uses, by role'),
        artifacts: z
          .record(z.string(), ArtifactRef)
          .describe(
            'what it uses besides, by role: its dataset as `items`, further ones as `items.NAME`, and gold rewards',
          ),
        described: z
          .record(z.string(), ModelRecord)
          .optional()
          .describe('what the models and gold rewards are, by role; of a replay nothing'),
        declared: z
          .record(
            z.string(),
            z.object({
              name: ScorerName,
              sha256: Sha256.describe('of what its declaration says of the answers'),
            }),
          )
          .optional()
          .describe(
            'its scorers that the operator declared, by role: they score as long as they are declared so',
          ),
        memory: z
          .object({ neededBytes: z.int().min(0), limitBytes: z.int().min(0) })
          .optional()
          .describe('what the services of the process that started the run are estimated to need, and have'),
        data: DataAccount.optional().describe('what became of the rows of its data; of a replay nothing'),
        datasets: DataAccounts.optional().describe('the same of its further datasets, by name'),
        build: Build.optional().describe('of the coordinator that started it'),
        from: LogPositions.describe(
          'where to read the topics from: their ends when the run started; of the events that a replay reads, when that run did',
        ),
      }),
      { 1: runStarted1 },
    ),
    defineEvent(
      'run.waiting',
      1,
      'The run has not moved for a while, and what it waits for',
      z.object({
        run: RunId,
        step: Step,
        waitingFor: z.record(z.string(), z.int()).describe('missing items by topic'),
        sinceMs: z.int().min(0),
        deadlineMs: z.int().min(0).describe('milliseconds of waiting after which the run fails'),
      }),
    ),
    defineEvent(
      'run.warning',
      1,
      'A metric has passed its threshold. The run goes on; it warns again when the metric has come back and passes again',
      z.object({
        run: RunId,
        step: Step,
        metric: z.string().min(1),
        direction: z.enum(['above', 'below']).describe('on which side of the threshold it is'),
        value: z.number(),
        threshold: z.number(),
        message: z.string().describe('what it means, and what to do'),
      }),
    ),
    defineEvent(
      'run.paused',
      1,
      'The run waits for something outside of it, such as room on a disk, and goes on by itself when that is there',
      z.object({ run: RunId, by: PausedBy, cause: Cause.optional().describe('what it waits for') }),
    ),
    defineEvent(
      'run.resumed',
      1,
      'What the run waited for is there: it goes on',
      z.object({ run: RunId, by: PausedBy.describe('as in run.paused; without it, nothing is waited for') }),
    ),
    defineEvent(
      'run.build-changed',
      1,
      'The optimizer goes on with what another build computed: the bits of the run may differ from those of an uninterrupted one',
      z.object({
        run: RunId,
        step: Step.describe('the first that this build computes'),
        from: Build.optional().describe(
          'which wrote the checkpoint; absent where the checkpoint does not say',
        ),
        to: Build,
      }),
    ),
    defineEvent(
      'run.completed',
      1,
      'Every step is done, or as many as it takes. The run may be extended',
      z.object({
        run: RunId,
        steps: z.int().describe('training steps done'),
        policyVersion: PolicyVersion,
        reason: z.string().optional().describe('why it ended before its last step'),
      }),
    ),
    defineEvent(
      'run.extended',
      1,
      'A completed run goes on from its last checkpoint',
      z.object({ run: RunId, steps: z.int().min(1).describe('training steps that it is to have in all') }),
    ),
    defineEvent('run.failed', 1, 'The run cannot go on', z.object({ run: RunId, cause: Cause })),
    defineEvent('run.cancelled', 1, 'Somebody ended the run', z.object({ run: RunId, reason: z.string() })),
    defineEvent(
      'run.archived',
      1,
      'The run has ended, and an artifact holds its events of every archived topic: topics may lose them now',
      z.object({
        run: RunId,
        archive: ArtifactRef,
        until: LogPositions.describe('where the topics were read to'),
        counts: z.record(z.string(), z.int().min(0)).describe('archived records by topic'),
      }),
    ),
  ],
});

const steps = defineTopic({
  name: 'steps',
  description: 'What each step of a run is made of',
  key: (data) => data.run,
  partitions: PARTITIONS,
  cleanup: 'delete',
  retentionMs: WEEK,
  events: [
    defineEvent(
      'step.issued',
      2,
      'These are the items of the step. Their ids follow: run/step/index, counted through the streams in their order',
      StepStamp.extend({ streams: z.array(StepStream).min(1) }),
    ),
  ],
});
const SamplingRole = z
  .string()
  .min(1)
  .default('policy')
  .describe("the model that samples, by its role in run.started: 'policy' is the run's newest version");

const prompts = defineTopic({
  name: 'prompts',
  description: 'Prompts to sample from, step by step',
  key: (data) => data.prompt,
  partitions: PARTITIONS,
  cleanup: 'delete',
  retentionMs: WEEK,
  events: [
    defineEvent(
      'prompt.issued',
      2,
      'Sample completions of this prompt',
      StepStamp.extend({
        prompt: z.string().describe('prompt id: run/step/index'),
        role: SamplingRole,
        text: z.string(),
        ...conversation,
        tokens: Tokens.min(1),
        metadata: Metadata.optional(),
        completion: GivenCompletion.optional(),
        samples: z.int().min(1),
        minPolicyVersion: PolicyVersion,
        sampling: Sampling,
        seed: z.int().describe("the run's seed; draws are keyed by (seed, rollout id, position)"),
        timeoutMs: z
          .int()
          .min(1)
          .describe('milliseconds that generation may take once it has begun; then it is a rollout.failed'),
      }),
    ),
  ],
});

const RolloutStamp = StepStamp.extend({
  prompt: z.string().describe('prompt id: run/step/index'),
  rollout: z.string().describe('rollout id: run/step/index/sample'),
});

const rollouts = defineTopic({
  name: 'rollouts',
  description: 'Completions sampled from a policy version. Keyed by prompt: its samples share a partition',
  key: (data) => data.prompt,
  partitions: PARTITIONS,
  cleanup: 'delete',
  retentionMs: WEEK,
  events: [
    defineEvent(
      'rollout.generated',
      2,
      'A completion and the behaviour log-probs of its tokens',
      RolloutStamp.extend({
        role: SamplingRole,
        promptText: z.string(),
        ...conversation,
        promptTokens: Tokens.min(1),
        metadata: Metadata.optional().describe('that of the prompt'),
        text: z.string().describe('the completion, special tokens left out'),
        tokens: Tokens.min(1).describe('the completion, its end token included'),
        logprobs: Logprobs.describe('at the sampling temperature, before top-k and top-p'),
        policyVersion: PolicyVersion,
        finishReason: z.enum(['stop', 'length']),
        temperature: z.number().min(0),
        sampler: z
          .int()
          .min(1)
          .optional()
          .describe(
            'version of the sampler that drew the tokens: 3 by the program of the model itself, in float32; 2 by the softmax in float32 of the program of the model; 1, or absent, by weights in float64',
          ),
      }).refine((r) => r.logprobs.length === r.tokens.length, 'expected one log-prob a token'),
    ),
    defineEvent(
      'rollout.failed',
      2,
      'No completion will come of this policy version',
      RolloutStamp.extend({ policyVersion: PolicyVersion, cause: Cause }),
    ),
  ],
});

const rewards = defineTopic({
  name: 'rewards',
  description: 'Scores of rollouts',
  key: (data) => data.prompt,
  partitions: PARTITIONS,
  cleanup: 'delete',
  retentionMs: WEEK,
  events: [
    defineEvent(
      'reward.scored',
      2,
      'What the scorers say of a rollout',
      RolloutStamp.extend({
        policyVersion: PolicyVersion,
        score: z.number().describe('the sum of the scores, each times its weight, which training uses'),
        parts: z
          .record(z.string(), z.number().nullable())
          .describe(
            'score by scorer, and by SCORER/PART what it was made of; null of what does not apply to the rollout',
          ),
      }),
    ),
    defineEvent(
      'reward.failed',
      2,
      'No score will come for the rollout of this policy version',
      RolloutStamp.extend({ policyVersion: PolicyVersion, cause: Cause }),
    ),
  ],
});

const ReferenceStamp = StepStamp.extend({
  subject: z.string().describe('rollout id, comparison id or thumb id'),
  policyVersion: PolicyVersion.optional().describe('of the rollout'),
});

const referenceLogprobs = defineTopic({
  name: 'reference-logprobs',
  description: 'Log-probs of rollouts, comparisons and thumbs under the frozen reference',
  key: (data) => data.subject,
  partitions: PARTITIONS,
  cleanup: 'delete',
  retentionMs: WEEK,
  events: [
    defineEvent(
      'reference.scored',
      2,
      'Per-token log-probs: one row for a rollout, one a completion for a comparison, for a thumb one of its completion and one of the mismatched completion',
      ReferenceStamp.extend({
        logprobs: z.array(Logprobs),
        reference: ModelRef,
      }),
      { 1: referenceScored1 },
    ),
    defineEvent('reference.failed', 2, 'No log-probs will come', ReferenceStamp.extend({ cause: Cause })),
  ],
});

const demonstrations = defineTopic({
  name: 'demonstrations',
  description: 'Texts to imitate, step by step',
  key: (data) => data.demonstration,
  partitions: PARTITIONS,
  cleanup: 'delete',
  retentionMs: WEEK,
  events: [
    defineEvent(
      'demonstration.recorded',
      2,
      'A prompt (possibly empty) and the completion to learn',
      StepStamp.extend({
        demonstration: z.string().describe('run/step/index'),
        split: Split,
        promptTokens: Tokens,
        tokens: Tokens.min(1),
        learned: Learned.optional(),
      }),
    ),
  ],
});

const Completion = z.object({
  text: z.string(),
  tokens: Tokens.min(1),
  score: z.number().optional().describe('what the ranking was made from, where it was'),
});

const comparisons = defineTopic({
  name: 'comparisons',
  description: 'Preferences between completions of one prompt; a pair is K = 2',
  key: (data) => data.comparison,
  partitions: PARTITIONS,
  cleanup: 'delete',
  events: [
    defineEvent(
      'comparison.recorded',
      1,
      'K completions of a prompt and their ranks',
      StepStamp.extend({
        comparison: z.string().describe('run/step/index'),
        split: Split,
        promptText: z.string(),
        ...conversation,
        promptTokens: Tokens.describe('empty where the prompt is, and texts begin with no token'),
        completions: z.array(Completion).min(2),
        ranks: z.array(z.int().min(1)).describe('1 is the best; equal ranks are ties'),
        margin: z.number().optional(),
        labeler: z.string().describe('who ranked: dataset, a scorer, a person'),
        metadata: Metadata.optional(),
      }).refine((c) => c.ranks.length === c.completions.length, 'expected one rank a completion'),
    ),
  ],
});

const thumbs = defineTopic({
  name: 'thumbs',
  description: 'Completions that are desirable or not, each judged by itself, step by step',
  key: (data) => data.thumb,
  partitions: PARTITIONS,
  cleanup: 'delete',
  retentionMs: WEEK,
  events: [
    defineEvent(
      'thumb.recorded',
      1,
      'A prompt and a completion with a thumb up or down',
      StepStamp.extend({
        thumb: z.string().describe('run/step/index'),
        split: Split,
        promptText: z.string(),
        ...conversation,
        promptTokens: Tokens.describe('empty where the prompt is, and texts begin with no token'),
        text: z.string().describe('the completion'),
        tokens: Tokens.min(1).describe('the completion, its end token included'),
        label: z.boolean().describe('true is a thumb up'),
        mismatched: Tokens.min(1).describe(
          'a completion of another prompt: its log-probs after this one estimate the KL of policy and reference',
        ),
        labeler: z.string().describe('who judged: dataset, a person'),
        metadata: Metadata.optional(),
      }),
    ),
  ],
});

const Feedback = z.object({
  feedback: z.string().min(1).max(200).describe('id of this feedback, as its publisher names it'),
  collection: CollectionName,
  prompt: z
    .union([Text, Conversation], {
      error: 'expected well-formed text, or a list of messages {role, content}',
    })
    .describe('a text, or the messages of a conversation to answer'),
  completions: z.array(Text).min(2).max(100).optional().describe('what was ranked'),
  ranks: z.array(z.int().min(1)).optional().describe('one a completion; 1 is the best; equal ranks are ties'),
  margin: z
    .number()
    .optional()
    .describe('by how much the best should score above the worst, in reward units'),
  completion: Text.optional().describe('what was given a thumb'),
  label: z.boolean().optional().describe('true is a thumb up'),
  labeler: z.string().min(1).max(200).describe('who judged: a person, a product, a model'),
  metadata: Metadata.optional(),
});

/** Feedback is a ranking, `{completions, ranks, margin?}`, or a thumb, `{completion, label}`. */
function asOneOpinion(
  { completions, ranks, margin, completion, label }: z.output<typeof Feedback>,
  context: z.RefinementCtx,
): void {
  const mistake = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', path, message });
  const isRanking = completions !== undefined || ranks !== undefined || margin !== undefined;
  const isThumb = completion !== undefined || label !== undefined;
  if (isRanking === isThumb) {
    const came = isThumb ? 'some of both' : 'neither';
    mistake(`expected either completions and their ranks, or a completion and its label, got ${came}`);
  } else if (isThumb) {
    if (completion === undefined) mistake('expected what the label is of, got nothing', 'completion');
    if (label === undefined) mistake('expected true or false, got nothing', 'label');
  } else {
    if (!completions) mistake('expected what the ranks are of, got nothing', 'completions');
    if (!ranks || (completions && ranks.length !== completions.length))
      mistake(`expected one rank a completion, got ${ranks?.length ?? 'nothing'}`, 'ranks');
  }
}

const feedback = defineTopic({
  name: 'feedback',
  description:
    'Preferences and thumbs that anybody publishes, as texts; a run takes a collection of them as its data',
  key: (data) => data.feedback,
  partitions: PARTITIONS,
  cleanup: 'delete',
  events: [
    defineEvent(
      'feedback.recorded',
      3,
      'Somebody ranked K completions of a prompt, or gave one a thumb up or down. The first event with an id counts',
      Feedback.superRefine(asOneOpinion),
    ),
  ],
});

const policyVersions = defineTopic({
  name: 'policy-versions',
  description: 'The newest policy of each run, by reference',
  key: (data) => data.run,
  partitions: PARTITIONS,
  cleanup: 'compact',
  events: [
    defineEvent(
      'policy.published',
      2,
      'These weights exist and are the newest',
      z.object({
        run: RunId,
        version: PolicyVersion,
        step: Step.describe('steps done'),
        model: ModelRef,
        checkpoint: z
          .object({ step: Step, artifact: ArtifactRef })
          .optional()
          .describe("the optimizer's newest whole checkpoint, from which the steps since can be done again"),
      }),
      { 1: policyPublished1 },
    ),
  ],
});

const ReplicaStamp = z.object({
  replica: z.string().min(1).max(200).describe('a process that samples: its setting RLHF_REPLICA'),
  run: RunId,
});

const policyReplicas = defineTopic({
  name: 'policy-replicas',
  description: 'Which version of a run each policy replica samples from; the last word of each',
  key: (data) => `${data.replica}/${data.run}`,
  partitions: PARTITIONS,
  cleanup: 'compact',
  events: [
    defineEvent(
      'replica.applied',
      1,
      'The replica fetched and verified these weights, and samples from them',
      ReplicaStamp.extend({
        version: PolicyVersion,
        fetchMs: z.number().min(0).describe('from the start of the fetch until the weights were in use'),
      }),
    ),
    defineEvent(
      'replica.behind',
      1,
      'The replica could not apply the newest version, and goes on trying',
      ReplicaStamp.extend({
        version: PolicyVersion.describe('wanted'),
        applied: PolicyVersion.optional().describe('what it samples from meanwhile, if it may'),
        cause: Cause,
      }),
    ),
  ],
});

const trainingMetrics = defineTopic({
  name: 'training-metrics',
  description: 'What each step measured',
  key: (data) => data.run,
  partitions: PARTITIONS,
  cleanup: 'delete',
  state: true,
  events: [
    defineEvent(
      'step.completed',
      2,
      'A step is done',
      StepStamp.extend({
        policyVersion: PolicyVersion.describe('after the step'),
        published: ModelRef.optional().describe('the policy version that was published with the step'),
        checkpoint: ArtifactRef.optional().describe(
          "the optimizer's checkpoint that was saved with the step",
        ),
        results: ArtifactRef.optional().describe('a parquet file of what the step computed of each item'),
        split: Split.describe(
          'test: a step of an earlier build, which evaluates after the last training step',
        ),
        metrics: z
          .record(z.string(), z.number())
          .describe('eval/ begins the names of what held-out items gave'),
      }),
      { 1: stepCompleted1 },
    ),
  ],
});

const deadLetters = defineTopic({
  name: 'dead-letters',
  description: 'Records that could not be handled, as they were, with the cause',
  key: (data) => `${data.source.topic}/${data.source.partition}/${data.source.offset}`,
  partitions: 1,
  cleanup: 'delete',
  events: [
    defineEvent(
      'record.rejected',
      1,
      'Where it stood, what it was, why it failed',
      z.object({
        service: z.string(),
        source: z.object({ topic: z.string(), partition: z.int(), offset: z.int() }),
        key: z.string(),
        value: z.base64().describe('the bytes of the record'),
        headers: z.record(z.string(), z.string()),
        cause: Cause,
        attempts: z.int().min(1),
      }),
    ),
  ],
});

/** The registry: every topic there is. */
export const topics = {
  runs,
  steps,
  prompts,
  rollouts,
  rewards,
  'reference-logprobs': referenceLogprobs,
  demonstrations,
  comparisons,
  thumbs,
  feedback,
  'policy-versions': policyVersions,
  'policy-replicas': policyReplicas,
  'training-metrics': trainingMetrics,
  'dead-letters': deadLetters,
} as const;

export type TopicName = keyof typeof topics;

/** Topics whose events are those of runs: a run that has ended is archived with its events of all of them. */
export const archivedTopics = [
  'runs',
  'steps',
  'prompts',
  'rollouts',
  'rewards',
  'reference-logprobs',
  'demonstrations',
  'comparisons',
  'thumbs',
  'policy-versions',
  'training-metrics',
] as const satisfies readonly TopicName[];
export type ArchivedTopic = (typeof archivedTopics)[number];

type DefinitionsOf<Name extends TopicName> = (typeof topics)[Name]['events'][number];

/** The events a topic carries, as a discriminated union over `type`. */
export type TopicEvent<Name extends TopicName> = EventOf<DefinitionsOf<Name>>;

type AnyDefinition = { [Name in TopicName]: DefinitionsOf<Name> }[TopicName];
export type EventType = AnyDefinition['type'];
/** The data of an event by its type: `DataFor<'rollout.generated'>`. */
export type DataFor<Type extends EventType> = DataOf<Extract<AnyDefinition, { type: Type }>>;
/** The same as it is published: what has a default may be left out. */
export type NewDataFor<Type extends EventType> = NewDataOf<Extract<AnyDefinition, { type: Type }>>;
