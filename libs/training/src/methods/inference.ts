/** What the models of a step say of sequences, without a gradient: a number for each token of a completion. */
import type { MethodName } from '@rlhf-streams/runs';
import type { Models } from '../trainer/layout.js';
import type { InferenceProgram } from '../trainer/program.js';
import { divisorOf, nextTokenLogprobs, type Sampling, scalarsAt } from './forward.js';
import { limitsOf, type Step } from './method.js';
import { type Sequence, sequenceBatches, sequenceInputs } from './rows.js';

/** Values of the states in which tokens were chosen. */
export const valueProgram = (models: Models): InferenceProgram => ({
  roles: ['value'],
  inputs: sequenceInputs(),
  infer: ({ value }, batch) => ({ perToken: scalarsAt(models.value!, value, batch) }),
});

/** Log-probs under the policy as it is. */
export const logprobProgram = (
  { sampling }: { readonly sampling: Sampling },
  models: Models,
): InferenceProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs(),
  infer: ({ policy }, batch) => ({
    perToken: nextTokenLogprobs(models.policy!, policy, batch, divisorOf(sampling)),
  }),
});

/** The output `perToken` of a program for the completion of each sequence, in their order. */
export async function inferPerToken(
  step: Pick<Step<MethodName>, 'config' | 'trainer'>,
  program: string,
  sequences: readonly Sequence[],
): Promise<Float32Array[]> {
  const { batches, byToken } = sequenceBatches(sequences, limitsOf(step, 'policy'));
  return byToken(await step.trainer.infer(program, batches), 'perToken');
}
