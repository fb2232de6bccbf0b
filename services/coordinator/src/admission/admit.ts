/** Whether a run may start: applies the rules that the roles of its models ask for. */
import { type RunConfig, specOf } from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import type { FoundModel } from './found.js';
import { fitsMemory, type Machine, peftOf, SMALLEST } from './memory.js';

import {
  hasFittingHeads,
  hasTokenizer,
  holdsAnyRollout,
  holdsContextOf,
  holdsSequences,
  isOfKind,
  type Lengths,
  readsItsTokens,
  readsTokensOf,
  takesPeft,
} from './rules.js';

/**
 * Checks what can be known before any data are read and any weights are made or copied.
 * @param models the run's `model` first
 * @throws CoordinatorError RUN_MODEL_UNFIT naming everything that is wrong; RUN_MEMORY
 */
export function admitModels(config: RunConfig, models: readonly FoundModel[], machine: Machine): void {
  refuse('RUN_MODEL_UNFIT', models.map(isOfKind));
  const [policy] = models as [FoundModel, ...FoundModel[]];
  admitPeft(config, models);
  refuse(
    'RUN_MODEL_UNFIT',
    models.flatMap((model) => [
      hasFittingHeads(model),
      hasTokenizer(model),
      readsItsTokens(model),
      model.role.readsPolicyTokens && readsTokensOf(policy, model),
      model.role.holds === 'the context of the policy' && holdsContextOf(policy, model),
    ]),
  );
  refuse('RUN_MEMORY', [fitsMemory(config, models, SMALLEST, machine)]);
}

/**
 * Checks that the models which a run trains take its `peft`.
 * @param models the run's `model` first
 * @throws CoordinatorError RUN_MODEL_UNFIT
 */
export function admitPeft(config: RunConfig, models: readonly FoundModel[]): void {
  refuse(
    'RUN_MODEL_UNFIT',
    specOf(config).trains.map(({ from, head }, i) => {
      const model = models.find(({ role }) => role.name === from) ?? models[0]!;
      return takesPeft(model, { head, isPublished: i === 0 }, peftOf(config));
    }),
  );
}

/**
 * Checks what depends on the data: whether contexts hold the sequences, and memory what is computed from them.
 * @throws CoordinatorError RUN_MODEL_UNFIT, RUN_MEMORY
 */
export function admitLengths(
  config: RunConfig,
  models: readonly FoundModel[],
  lengths: Lengths,
  machine: Machine,
): void {
  refuse(
    'RUN_MODEL_UNFIT',
    models.flatMap((model) => [
      model.role.holds === 'every sequence' && holdsSequences(model, lengths),
      model.role.holds === 'a prompt and a token' && holdsAnyRollout(model, lengths),
    ]),
  );
  refuse('RUN_MEMORY', [fitsMemory(config, models, lengths, machine)]);
}

/** The first scorer, if it is a model that can judge the states of the policy. */
export function scorerThatFits<Model extends FoundModel>(models: readonly Model[]): Model | undefined {
  const [policy] = models as readonly [Model, ...Model[]];
  const scorer = models.find(({ role }) => role.name === 'scorer');
  const fits =
    scorer?.kind === 'reward model' && !readsTokensOf(policy, scorer) && !holdsContextOf(policy, scorer);
  return fits ? scorer : undefined;
}

function refuse(
  code: 'RUN_MODEL_UNFIT' | 'RUN_MEMORY',
  refusals: readonly (string | false | undefined)[],
): void {
  const said = refusals.filter((refusal) => typeof refusal === 'string');
  if (said.length > 0) throw new CoordinatorError(code, said.join('\n'));
}
