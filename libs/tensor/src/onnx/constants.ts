/** Inputs of a model made constants: values within the model, or a part of a file that ONNX Runtime maps. */
import protobuf from 'protobufjs';
import type { PackedMatrix, TensorSpec, TypedBuffer } from '../engine.js';
import { dataType, ModelProto, TensorProto } from './schema.js';

/** A protobuf message can have 2 GiB at most. */
export const MOST_CONSTANT_BYTES = 2 ** 31 - 2 ** 26;

export interface Constant {
  readonly spec: TensorSpec;
  /** A file, in the folder that the session is told of, holds the values row-major and little-endian. */
  readonly values: TypedBuffer | FilePart;
}

export interface FilePart {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  /** The same matrix in the same file, as ONNX Runtime laid it out for an operator. */
  readonly packed?: readonly PackedMatrix[];
}

/** A model without some of its inputs, ready for `withConstants`. */
export function withoutInputs(model: Uint8Array, names: ReadonlySet<string>): Uint8Array {
  const decoded = ModelProto.decode(model) as unknown as {
    graph: { input: readonly { readonly name: string }[] };
  };
  decoded.graph.input = decoded.graph.input.filter(({ name }) => !names.has(name));
  return ModelProto.encode(decoded).finish();
}

/**
 * A model with constants for the inputs that were taken from it. Protobuf merges
 * a message field that occurs twice: the constants are appended as a second graph, so that their values are copied once.
 */
export function withConstants(model: Uint8Array, constants: Readonly<Record<string, Constant>>): Uint8Array {
  const tensors = Object.entries(constants).map(([name, { spec, values }]) => {
    const named = { name, dims: spec.shape, dataType: dataType[spec.dtype] };
    if ('file' in values) {
      const { file, offset, bytes, packed = [] } = values;
      const externalData = [
        { key: 'location', value: file },
        { key: 'offset', value: `${offset}` },
        { key: 'length', value: `${bytes}` },
        ...packed.map(({ key, offset, bytes }, i) => ({
          key: `prepacked_${i}`,
          value: `${key}|${offset};${bytes};0`,
        })),
      ];
      return [TensorProto.encode({ ...named, dataLocation: EXTERNAL, externalData }).finish()];
    }
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return [TensorProto.encode(named).finish(), ...field(RAW_DATA, [raw])];
  });
  return Buffer.concat([
    model,
    ...field(
      GRAPH,
      tensors.flatMap((tensor) => field(INITIALIZER, tensor)),
    ),
  ]);
}

/** TensorProto.DataLocation */
const EXTERNAL = 1;
/** Numbers of fields that are messages or bytes: of ModelProto, GraphProto, TensorProto. */
const [GRAPH, INITIALIZER, RAW_DATA] = [7, 5, 9];

/** A length-delimited field: its tag, its length, and its bytes. */
function field(id: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const LENGTH_DELIMITED = 2;
  const length = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const head = protobuf.Writer.create()
    .uint32((id << 3) | LENGTH_DELIMITED)
    .uint32(length)
    .finish();
  return [head, ...parts];
}
