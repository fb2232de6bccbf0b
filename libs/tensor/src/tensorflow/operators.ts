/** Operators that several files append to a graph. */
import { type Graph, type GraphValue, typeOf } from './graph.js';
import type { NodeType } from './schema.js';

const int32 = typeOf('int32');

export const cast = (graph: Graph, value: GraphValue, type: NodeType): GraphValue =>
  value.type === type
    ? value
    : graph.node('Cast', [value], type, value.shape, { SrcT: typeOf(value.type), DstT: typeOf(type) });

export const reshape = (graph: Graph, value: GraphValue, shape: readonly number[]): GraphValue =>
  shape.length === value.shape.length && shape.every((dim, i) => dim === value.shape[i])
    ? value
    : graph.node('Reshape', [value, graph.ints(shape)], value.type, shape, {
        T: typeOf(value.type),
        Tshape: int32,
      });

export const slice = (
  graph: Graph,
  value: GraphValue,
  begin: readonly number[],
  size: readonly number[],
): GraphValue =>
  graph.node('Slice', [value, graph.ints(begin), graph.ints(size)], value.type, size, {
    T: typeOf(value.type),
    Index: int32,
  });

/** @param value a scalar */
export const fill = (graph: Graph, shape: readonly number[], value: GraphValue): GraphValue =>
  graph.node('Fill', [graph.ints(shape), value], value.type, shape, {
    T: typeOf(value.type),
    index_type: int32,
  });
