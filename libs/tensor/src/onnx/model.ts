/** A captured program as an ONNX model, with what its inputs and outputs are. Plain data: it is sent to threads. */
import { createHash } from 'node:crypto';
import type { Trace } from '../capture/capture.js';
import type { TypedBuffer } from '../engine.js';
import type { Effect } from '../workspace/effects.js';
import { dataType, ModelProto } from './schema.js';

export interface Model {
  readonly bytes: Uint8Array;
  /** Equal for equal bytes. */
  readonly hash: string;
  /** Tensors of the state that it takes: their names by those of the model's inputs. */
  readonly state: Readonly<Record<string, string>>;
  readonly inputs: Readonly<Record<string, string>>;
  /** What its outputs are, in their order. */
  readonly effects: readonly Effect[];
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
    effects: effects.map(({ kind, name, spec }) => ({ kind, name, spec })),
  };
}

/** A protobuf message ends at 2 GiB. */
export const MOST_CONSTANT_BYTES = 2 ** 31 - 2 ** 26;

/** The model with some of its inputs as constants, which ONNX Runtime lays out for its matrix products when it opens it. */
export function withConstants(bytes: Uint8Array, values: Readonly<Record<string, TypedBuffer>>): Uint8Array {
  const model = ModelProto.decode(bytes) as unknown as Decoded;
  const { graph } = model;
  const constants = graph.input.filter(({ name }) => values[name]);
  return ModelProto.encode({
    ...model,
    graph: {
      ...graph,
      input: graph.input.filter(({ name }) => !values[name]),
      initializer: [
        ...graph.initializer,
        ...constants.map(({ name, type: { tensorType } }) => {
          const { buffer, byteOffset, byteLength } = values[name]!;
          return {
            name,
            dims: tensorType.shape.dim.map(({ dimValue }) => dimValue),
            dataType: values[name] instanceof Int32Array ? dataType.int32 : dataType.float32,
            rawData: new Uint8Array(buffer, byteOffset, byteLength),
          };
        }),
      ],
    },
  }).finish();
}

interface Decoded {
  readonly graph: {
    readonly input: readonly {
      readonly name: string;
      readonly type: {
        readonly tensorType: { readonly shape: { readonly dim: readonly { dimValue: unknown }[] } };
      };
    }[];
    readonly initializer: readonly object[];
  };
}
