/** The parts that models have in runs. */
import { z } from 'zod';
import { ScorerEntry } from '../scorer-schemas.js';
import { named } from '../settings.js';
import { ModelSource } from '../source-schemas.js';
import type { ModelRole, TrainedModel } from './spec.js';

/** The run's own model, trained or sampled from. */
export const policy: ModelRole = {
  name: 'policy',
  field: 'model',
  kinds: ['language model'],
  expected: 'a policy, which is a language model',
};
export const initialPolicy = ModelSource.describe('what training starts from');

/** What a reward model is trained from. */
export const body: ModelRole = {
  name: 'policy',
  field: 'model',
  kinds: ['language model', 'reward model'],
  expected: 'a language model, or a reward model to train on',
};

/** The frozen reference. A run that names none has no reference log-probs. */
export const reference: ModelRole = {
  name: 'reference',
  field: 'reference',
  kinds: ['language model'],
  expected: 'a language model',
  readsPolicyTokens: true,
  holds: 'every sequence',
};
/** The frozen reference, which is the initial policy where a run names none. */
export const policyAsReference: ModelRole = { ...reference, otherwise: 'the policy' };

const referenceNames = { as: ['ref_model', 'reference_model'] };
export const optionalReference = ModelSource.optional()
  .describe('with it, log-probs and KL are reported')
  .register(named, referenceNames);
export const frozenReference = ModelSource.optional()
  .describe("frozen, with the policy's tokenizer; the initial policy if not given")
  .register(named, referenceNames);

/** What a run names as its value model where that has the policy's trunk. */
export const SHARED = 'shared';

export const value: ModelRole = {
  name: 'value',
  field: 'value',
  kinds: ['language model', 'reward model'],
  expected: 'a language model or a reward model',
  readsPolicyTokens: true,
  holds: 'the context of the policy',
  otherwise: 'a scorer that fits',
};
export const initialValue = z
  .union([z.literal(SHARED), ModelSource])
  .optional()
  .describe(
    "where the value model starts: the first scorer, if it is a model with the policy's tokenizer and context, else the initial policy. shared: it is a head on the trunk of the policy, which learns from both losses; a step costs about half as much (a folder of that name is ./shared)",
  )
  .register(named, { as: ['value_model', 'critic'] });

export const scorer: ModelRole = {
  name: 'scorer',
  field: 'scorers',
  kinds: ['reward model', 'gold reward'],
  expected: 'a reward model or gold:DATA',
  holds: 'a prompt and a token',
};
/** The first scorer has a weight of 1 where it names none. */
const hasWeight = ([first, ...others]: readonly ScorerEntry[]): boolean =>
  typeof first === 'string' ||
  first?.weight !== 0 ||
  others.some((entry) => typeof entry !== 'string' && !!entry.weight);
const scorerNames = { as: ['reward', 'reward_model', 'reward_model_path', 'reward_funcs', 'scorer'] };
export const rewardingScorers = z
  .array(ScorerEntry)
  .min(1)
  .refine(hasWeight, 'expected a scorer whose weight is not 0, which rewards')
  .describe(
    'the reward is the sum of their scores, each times its weight: 1 of the first and 0 of others, which are only reported, if not given; one with a tokenizer of its own reads the text',
  )
  .register(named, scorerNames);
export const reportingScorers = z
  .array(ScorerEntry)
  .default([])
  .describe('each scores every sample; the sum of their scores, weighed as rewards are, ranks')
  .register(named, scorerNames);

export const trainedPolicy: TrainedModel = { role: 'policy', from: 'policy', head: 'language' };
export const trainedValue: TrainedModel = { role: 'value', from: 'value', head: 'scalar' };
/** A value head on the policy's trunk. */
const sharedValue: TrainedModel = {
  role: 'value',
  from: 'policy',
  head: 'scalar',
  trunk: 'policy',
};
export const trainedReward: TrainedModel = { role: 'reward', from: 'policy', head: 'scalar' };

/** The models of a run that trains a value model beside its policy. @param written what it names as `value` */
export const withValueModel = (written: z.output<typeof initialValue>) =>
  written === SHARED
    ? { models: [policy, policyAsReference, scorer], trains: [trainedPolicy, sharedValue] }
    : { models: [policy, policyAsReference, value, scorer], trains: [trainedPolicy, trainedValue] };
