import { attributeType, dataType, ModelProto, type OnnxType } from './schema.js';

const OPSET = 17;
const IR_VERSION = 8;

export interface GraphValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: OnnxType;
  /** The number that a constant scalar is. */
  readonly scalar?: number;
}

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string };

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Empty for ONNX's own operators, `com.microsoft` for ONNX Runtime's. */
  readonly domain?: string;
}

export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly options: NodeOptions;
}

/**
 * An ONNX graph under construction: nodes in the order they were recorded, which is a topological one. All names in it
 * are its own: inputs are `i0`, `i1`, ... and outputs `o0`, `o1`, ... in the order they are declared, so that no name of
 * a program can mean something else here, and equal programs are equal bytes.
 */
export interface Graph {
  input(type: OnnxType, shape: readonly number[]): GraphValue;
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
  /** A node with several results, of one type or of one each. */
  nodes(
    op: string,
    inputs: readonly GraphValue[],
    type: OnnxType | readonly OnnxType[],
    shapes: readonly (readonly number[])[],
    options?: NodeOptions,
  ): GraphValue[];
  /** Makes a value an output. @returns its index among the outputs */
  output(value: GraphValue): number;
  /** The nodes that outputs depend on. */
  readonly live: readonly GraphNode[];
  /** The graph as the bytes of an .onnx file: its live nodes, and what they take. */
  encode(): Encoded;
}

export interface Encoded {
  readonly model: Uint8Array;
  /** The names of the inputs that the model takes: those that an output depends on. */
  readonly inputs: readonly string[];
}

const SMALL = 256;

export function createGraph(): Graph {
  const recorded: GraphNode[] = [];
  const inputs: GraphValue[] = [];
  const outputs: GraphValue[] = [];
  const constants: { readonly value: GraphValue; readonly bytes: Uint8Array }[] = [];
  const smallConstants = new Map<string, GraphValue>();
  let names = 0;

  const constant: Graph['constant'] = (type, shape, data) => {
    const given = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const key = given.length <= SMALL ? `${type}[${shape}]${given.toString('latin1')}` : undefined;
    const known = key === undefined ? undefined : smallConstants.get(key);
    if (known) return known;
    const scalar = shape.length === 0 && (type === 'float32' || type === 'int32');
    const value: GraphValue = {
      name: `c${names++}`,
      shape,
      type,
      ...(scalar && { scalar: type === 'float32' ? given.readFloatLE() : given.readInt32LE() }),
    };
    // The caller may reuse its buffer before the graph is encoded.
    constants.push({ value, bytes: Buffer.from(given) });
    if (key !== undefined) smallConstants.set(key, value);
    return value;
  };

  const nodes: Graph['nodes'] = (op, inputs, type, shapes, options = {}) => {
    const values = shapes.map((shape, i) => ({
      name: `t${names++}`,
      shape,
      type: typeof type === 'string' ? type : type[i]!,
    }));
    recorded.push({ op, inputs, outputs: values, options });
    return values;
  };

  const live = () => {
    const needed = new Set(outputs);
    const kept = recorded.toReversed().filter((node) => {
      const wanted = node.outputs.some((value) => needed.has(value));
      if (wanted) for (const value of node.inputs) needed.add(value);
      return wanted;
    });
    return { nodes: kept.reverse(), needed };
  };

  return {
    input(type, shape) {
      const value: GraphValue = { name: `i${inputs.length}`, shape, type };
      inputs.push(value);
      return value;
    },
    constant,
    int64s: (values) => constant('int64', [values.length], BigInt64Array.from(values, BigInt)),
    scalar: (value) => constant('float32', [], Float32Array.of(value)),
    node: (op, inputs, type, shape, options) => nodes(op, inputs, type, [shape], options)[0]!,
    nodes,
    output(value) {
      return outputs.push(value) - 1;
    },
    get live() {
      return live().nodes;
    },
    encode() {
      const { nodes, needed } = live();
      const results = new Set(nodes.flatMap((node) => node.outputs));
      const finalNames = new Map<GraphValue, string>();
      const copies: object[] = [];
      outputs.forEach((value, index) => {
        const name = `o${index}`;
        // A result is renamed rather than copied; what is no node's result, or is an output already, has to be copied.
        if (results.has(value) && !finalNames.has(value)) finalNames.set(value, name);
        else
          copies.push({ input: [finalNames.get(value) ?? value.name], output: [name], opType: 'Identity' });
      });
      const nameOf = (value: GraphValue) => finalNames.get(value) ?? value.name;
      const taken = inputs.filter((value) => needed.has(value));
      const graph = {
        name: 'program',
        node: [
          ...nodes.map((node) => ({
            input: node.inputs.map(nameOf),
            output: node.outputs.map(nameOf),
            opType: node.op,
            attribute: Object.entries(node.options.attributes ?? {}).map(encodeAttribute),
            domain: node.options.domain ?? '',
          })),
          ...copies,
        ],
        initializer: constants
          .filter(({ value }) => needed.has(value))
          .map(({ value: { name, shape, type }, bytes }) => ({
            name,
            dims: shape,
            dataType: dataType[type],
            rawData: bytes,
          })),
        input: taken.map((value) => valueInfo(value.name, value)),
        output: outputs.map((value, index) => valueInfo(`o${index}`, value)),
      };
      const model = ModelProto.encode({
        irVersion: IR_VERSION,
        producerName: 'rlhf-streams',
        graph,
        opsetImport: [
          { domain: '', version: OPSET },
          { domain: 'com.microsoft', version: 1 },
        ],
      }).finish();
      return { model, inputs: taken.map(({ name }) => name) };
    },
  };
}

const valueInfo = (name: string, { type, shape }: GraphValue) => ({
  name,
  type: { tensorType: { elemType: dataType[type], shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});

function encodeAttribute([name, value]: [string, Attribute]) {
  if ('int' in value) return { name, i: value.int, type: attributeType.int };
  if ('float' in value) return { name, f: value.float, type: attributeType.float };
  if ('ints' in value) return { name, ints: value.ints, type: attributeType.ints };
  return { name, s: Buffer.from(value.string), type: attributeType.string };
}
