import { attributeType, dataType, ModelProto, type OnnxType } from './schema.js';

const OPSET = 17;
const IR_VERSION = 8;

export interface GraphValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: OnnxType;
}

type Attribute = { int: number } | { float: number } | { ints: readonly number[] } | { string: string };

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Empty for ONNX's own operators, `com.microsoft` for ONNX Runtime's. */
  readonly domain?: string;
}

/** An ONNX graph under construction: nodes in the order they were recorded, which is a topological one. */
export interface Graph {
  input(name: string, type: OnnxType, shape: readonly number[]): GraphValue;
  /** A constant; equal small ones are kept once. */
  constant(type: OnnxType, shape: readonly number[], data: ArrayBufferView): GraphValue;
  /** A constant vector of int64, as ONNX takes shapes, axes and indices. */
  int64s(values: readonly number[]): GraphValue;
  /** A constant float32 scalar. */
  scalar(value: number): GraphValue;
  node(
    op: string,
    inputs: readonly GraphValue[],
    type: OnnxType,
    shape: readonly number[],
    options?: NodeOptions,
  ): GraphValue;
  /** A node with several results. */
  nodes(
    op: string,
    inputs: readonly GraphValue[],
    type: OnnxType,
    shapes: readonly (readonly number[])[],
    options?: NodeOptions,
  ): GraphValue[];
  output(name: string, value: GraphValue): void;
  /** The graph as the bytes of an .onnx file. */
  encode(): Uint8Array;
  readonly nodeCount: number;
}

const SMALL = 256;

/** NodeProto. */
interface Node {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly opType: string;
  readonly attribute: readonly object[];
  readonly domain: string;
}

export function createGraph(): Graph {
  const node: Node[] = [];
  const initializer: object[] = [];
  const input: object[] = [];
  const output: object[] = [];
  const smallConstants = new Map<string, GraphValue>();
  /** The name under which the graph outputs a node's result, by the result's own name; undefined where it is no output. */
  const outputNames = new Map<string, string | undefined>();
  let names = 0;

  const constant: Graph['constant'] = (type, shape, data) => {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const key = bytes.length <= SMALL ? `${type}[${shape}]${bytes.toString('latin1')}` : undefined;
    const known = key === undefined ? undefined : smallConstants.get(key);
    if (known) return known;
    const value = { name: `c${names++}`, shape, type };
    // The caller may reuse its buffer before the graph is encoded.
    initializer.push({
      name: value.name,
      dims: shape,
      dataType: dataType[type],
      rawData: Buffer.from(bytes),
    });
    if (key !== undefined) smallConstants.set(key, value);
    return value;
  };

  const record = (
    op: string,
    inputs: readonly GraphValue[],
    names: readonly string[],
    options: NodeOptions,
  ) =>
    node.push({
      input: inputs.map((value) => value.name),
      output: names,
      opType: op,
      attribute: Object.entries(options.attributes ?? {}).map(([key, value]) => encodeAttribute(key, value)),
      domain: options.domain ?? '',
    });

  const finalName = (name: string) => outputNames.get(name) ?? name;
  const renamed = (each: Node): Node => ({
    ...each,
    input: each.input.map(finalName),
    output: each.output.map(finalName),
  });

  const nodes: Graph['nodes'] = (op, inputs, type, shapes, options = {}) => {
    const values = shapes.map((shape) => ({ name: `t${names++}`, shape, type }));
    for (const { name } of values) outputNames.set(name, undefined);
    record(
      op,
      inputs,
      values.map(({ name }) => name),
      options,
    );
    return values;
  };

  return {
    input(name, type, shape) {
      input.push(valueInfo(name, type, shape));
      return { name, shape, type };
    },
    constant,
    int64s: (values) => constant('int64', [values.length], BigInt64Array.from(values, BigInt)),
    scalar: (value) => constant('float32', [], Float32Array.of(value)),
    node: (op, inputs, type, shape, options) => nodes(op, inputs, type, [shape], options)[0]!,
    nodes,
    output(name, value) {
      // A result is renamed rather than copied; what is no node's result, or is an output already, has to be copied.
      if (outputNames.has(value.name) && outputNames.get(value.name) === undefined)
        outputNames.set(value.name, name);
      else record('Identity', [value], [name], {});
      output.push(valueInfo(name, value.type, value.shape));
    },
    encode: () =>
      ModelProto.encode({
        irVersion: IR_VERSION,
        producerName: 'rlhf-streams',
        graph: { name: 'program', node: node.map(renamed), initializer, input, output },
        opsetImport: [
          { domain: '', version: OPSET },
          { domain: 'com.microsoft', version: 1 },
        ],
      }).finish(),
    get nodeCount() {
      return node.length;
    },
  };
}

const valueInfo = (name: string, type: OnnxType, shape: readonly number[]) => ({
  name,
  type: { tensorType: { elemType: dataType[type], shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});

function encodeAttribute(name: string, value: Attribute) {
  if ('int' in value) return { name, i: value.int, type: attributeType.int };
  if ('float' in value) return { name, f: value.float, type: attributeType.float };
  if ('ints' in value) return { name, ints: value.ints, type: attributeType.ints };
  return { name, s: Buffer.from(value.string), type: attributeType.string };
}
