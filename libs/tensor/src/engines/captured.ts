import { trace } from '../capture/capture.js';
import type { Program, Specs } from '../engine.js';
import { hostPlan, usesHostKernels } from '../kernels/host.js';
import type { HostPlan } from '../kernels/plan.js';
import { type Model, modelOf } from '../onnx/model.js';
import { type Effect, writtenBy } from '../workspace/effects.js';

/** A program is computed by ONNX Runtime, or it is a few loops of the host over the state. */
export type Captured = { readonly reads: readonly string[]; readonly writes: readonly string[] } & (
  | { readonly model: Model }
  | { readonly plan: HostPlan; readonly effects: readonly Effect[] }
);

export function captureProgram(program: Program, state: Specs, frozen: ReadonlySet<string>): Captured {
  const named = trace(program, state, { frozen, hostKernels: true });
  const writes = writtenBy(named.effects);
  const plan = hostPlan(named);
  if (plan) return { reads: program.reads, writes, plan, effects: named.effects };
  const model = modelOf(usesHostKernels(named) ? trace(program, state, { frozen }) : named);
  return { reads: Object.values(model.state), writes, model };
}
