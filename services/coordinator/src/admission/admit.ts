/** Whether a run may start: every rule, over the models that it names. */
import type { RunConfig } from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import { fitsMemory, type Machine, SHORTEST } from './memory.js';
import type { FoundModel } from './named.js';
import {
  hasEvenHeads,
  hasTokenizer,
  holdsAnyRollout,
  holdsContextOf,
  holdsSequences,
  isOfKind,
  type Lengths,
  readsItsTokens,
  readsTokensOf,
} from './rules.js';

/**
 * Checks what can be known before any data are read and any weights are made or copied.
 * @param models the run's `model` first
 * @throws CoordinatorError RUN_MODEL_UNFIT naming everything that is wrong; RUN_MEMORY
 */
export function admitModels(config: RunConfig, models: readonly FoundModel[], machine: Machine): void {
  refuse('RUN_MODEL_UNFIT', models.map(isOfKind));
  const [policy] = models as [FoundModel, ...FoundModel[]];
  refuse(
    'RUN_MODEL_UNFIT',
    models.flatMap((model) => [
      hasEvenHeads(model),
      hasTokenizer(model),
      readsItsTokens(model),
      ...(model.part === 'reference' ? [readsTokensOf(policy, model)] : []),
      ...(model.part === 'value' ? [readsTokensOf(policy, model), holdsContextOf(policy, model)] : []),
    ]),
  );
  refuse('RUN_MEMORY', [fitsMemory(config, models, SHORTEST, machine)]);
}

/**
 * Checks what depends on the data: whether models hold their sequences, and memory what is computed of them.
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
      ...(model.part === 'reference' ? [holdsSequences(model, lengths)] : []),
      ...(model.part === 'scorer' ? [holdsAnyRollout(model, lengths)] : []),
    ]),
  );
  refuse('RUN_MEMORY', [fitsMemory(config, models, lengths.longest, machine)]);
}

/**
 * Where the value model of a PPO run starts that names none: the first scorer, if it is a model that can judge the
 * policy's states, else the policy itself.
 */
export function startOfValue(models: readonly FoundModel[]): FoundModel {
  const [policy] = models as [FoundModel, ...FoundModel[]];
  const scorer = models.find(({ part }) => part === 'scorer');
  const fits =
    scorer?.kind === 'reward model' && !readsTokensOf(policy, scorer) && !holdsContextOf(policy, scorer);
  return fits ? scorer : policy;
}

function refuse(code: 'RUN_MODEL_UNFIT' | 'RUN_MEMORY', refusals: readonly (string | undefined)[]): void {
  const said = refusals.filter((refusal) => refusal !== undefined);
  if (said.length > 0) throw new CoordinatorError(code, said.join('\n'));
}
