import { dataType, type NodeType, SavedModel } from './schema.js';

/** The version of the GraphDef format of TensorFlow 2.21; from 12 on, any is loaded. */
const PRODUCER = 2474;

export interface GraphValue {
  /** The name of a node's result, `NODE:0`, by which other nodes take it and a run fetches it. */
  readonly name: string;
  readonly node: string;
  readonly type: NodeType;
  readonly shape: readonly number[];
}

export type Attribute =
  | { readonly s: Uint8Array }
  | { readonly i: number }
  | { readonly b: boolean }
  | { readonly type: number }
  | { readonly shape: object }
  | { readonly tensor: object };

export type Attributes = Readonly<Record<string, Attribute>>;

export const typeOf = (type: NodeType): Attribute => ({ type: dataType[type] });
export const bytes = (text: string): Attribute => ({ s: Buffer.from(text) });

/** A resource that has a tensor, for as long as the session of its graph is open. */
export interface Variable<Type extends NodeType = NodeType> {
  readonly handle: GraphValue;
  readonly spec: { readonly dtype: Type; readonly shape: readonly number[] };
}

/** A TensorFlow GraphDef under construction. Names in it are numbers of its own: no name of a program means anything here. */
export interface Graph {
  /** @param after nodes that must have run before */
  node(
    op: string,
    inputs: readonly GraphValue[],
    type: NodeType,
    shape: readonly number[],
    attributes?: Attributes,
    after?: readonly GraphValue[],
  ): GraphValue;
  /** A node with several results of one type. */
  nodes(
    op: string,
    inputs: readonly GraphValue[],
    type: NodeType,
    shapes: readonly (readonly number[])[],
    attributes?: Attributes,
  ): GraphValue[];
  /** A constant; equal small ones are kept once. */
  constant(type: NodeType, shape: readonly number[], data: ArrayBufferView): GraphValue;
  int(value: number): GraphValue;
  ints(values: readonly number[]): GraphValue;
  scalar(value: number): GraphValue;
  variable<Type extends NodeType>(spec: Variable<Type>['spec']): Variable<Type>;
  /** Begins a part whose nodes XLA may compile together; undefined: those that follow run one by one. */
  cluster(name: string | undefined): void;
  /** Whether a node takes this value. */
  takes(value: GraphValue): boolean;
  /** The graph as the bytes of a `saved_model.pb`. */
  encode(): Uint8Array;
}

const SMALL = 256;

export function createGraph(): Graph {
  const recorded: { name: string; op: string; input: string[]; attr: Attributes }[] = [];
  const smallConstants = new Map<string, GraphValue>();
  const taken = new Set<string>();
  let cluster: string | undefined;

  const append = (
    op: string,
    inputs: readonly GraphValue[],
    attributes: Attributes,
    after: readonly GraphValue[],
  ): string => {
    const name = `n${recorded.length}`;
    const compiled = cluster !== undefined && {
      _XlaCompile: { b: true },
      _XlaScope: bytes(cluster),
    };
    const input = [...inputs.map((value) => value.name), ...after.map(({ node }) => `^${node}`)];
    recorded.push({ name, op, input, attr: { ...attributes, ...compiled } });
    for (const value of inputs) taken.add(value.name);
    return name;
  };
  const node: Graph['node'] = (op, inputs, type, shape, attributes = {}, after = []) => {
    const name = append(op, inputs, attributes, after);
    return { name: `${name}:0`, node: name, type, shape };
  };
  const constant: Graph['constant'] = (type, shape, data) => {
    const given = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    // A constant belongs to the part that it is in.
    const key = given.length <= SMALL ? `${cluster} ${type}[${shape}]${given.toString('latin1')}` : undefined;
    const known = key === undefined ? undefined : smallConstants.get(key);
    if (known) return known;
    // The caller may reuse its buffer before the graph is encoded.
    const tensor = {
      dtype: dataType[type],
      tensorShape: shapeProto(shape),
      tensorContent: Buffer.from(given),
    };
    const value = node('Const', [], type, shape, { dtype: typeOf(type), value: { tensor } });
    if (key !== undefined) smallConstants.set(key, value);
    return value;
  };
  let variables = 0;

  return {
    node,
    nodes(op, inputs, type, shapes, attributes = {}) {
      const name = append(op, inputs, attributes, []);
      return shapes.map((shape, i) => ({ name: `${name}:${i}`, node: name, type, shape }));
    },
    constant,
    int: (value) => constant('int32', [], Int32Array.of(value)),
    ints: (values) => constant('int32', [values.length], Int32Array.from(values)),
    scalar: (value) => constant('float32', [], Float32Array.of(value)),
    variable(spec) {
      const handle = node('VarHandleOp', [], 'resource', [], {
        dtype: typeOf(spec.dtype),
        shape: { shape: shapeProto(spec.shape) },
        container: bytes(''),
        shared_name: bytes(`v${variables++}`),
      });
      return { handle, spec };
    },
    cluster(name) {
      cluster = name;
    },
    takes: ({ name }) => taken.has(name),
    encode: () =>
      SavedModel.encode({
        savedModelSchemaVersion: 1,
        metaGraphs: [
          {
            metaInfoDef: { tags: [TAG] },
            graphDef: { node: recorded, versions: { producer: PRODUCER } },
          },
        ],
      }).finish(),
  };
}

/** Names the one graph of a SavedModel. */
export const TAG = 'serve';

export const shapeProto = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size })) });
