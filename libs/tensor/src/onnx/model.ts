/** A captured program as an ONNX model, with what its inputs and outputs are. Plain data: it is sent to threads. */
import { createHash } from 'node:crypto';
import type { Trace } from '../capture/capture.js';
import type { Effect } from '../workspace/effects.js';

export interface Model {
  readonly bytes: Uint8Array;
  /** Equal for equal bytes. */
  readonly hash: string;
  /** Tensors of the state that it takes: their names by those of the model's inputs. */
  readonly state: Readonly<Record<string, string>>;
  readonly inputs: Readonly<Record<string, string>>;
  /** What its outputs are for; an output may serve several. */
  readonly effects: readonly (Effect & { readonly output: number })[];
  /** Number of its outputs. */
  readonly outputs: number;
}

export function modelOf({ graph, state, inputs, effects }: Trace): Model {
  const { model, inputs: taken } = graph.encode();
  const names = (values: Trace['state']) =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) =>
        taken.includes(value.name) ? [[value.name, name]] : [],
      ),
    );
  return {
    bytes: model,
    hash: createHash('sha256').update(model).digest('base64'),
    state: names(state),
    inputs: names(inputs),
    effects: effects.map(({ kind, name, spec, output }) => ({ kind, name, spec, output })),
    outputs: 1 + Math.max(-1, ...effects.map(({ output }) => output)),
  };
}
