import protobuf from 'protobufjs';

/** Types of values in a TensorFlow graph. */
export type NodeType = 'float32' | 'float64' | 'int32' | 'bool' | 'bfloat16' | 'resource';

/** `tensorflow.DataType`. */
export const dataType: Readonly<Record<NodeType, number>> = {
  float32: 1,
  float64: 2,
  int32: 3,
  bool: 10,
  bfloat16: 14,
  resource: 20,
};

const field = (id: number, type: string) => ({ id, type });
const repeated = (id: number, type: string) => ({ id, type, rule: 'repeated' });
const map = (id: number, type: string) => ({ id, type, keyType: 'string' });

/**
 * The part of TensorFlow's SavedModel format that captured programs use: tensorflow/core/protobuf/{saved_model,
 * meta_graph}.proto and tensorflow/core/framework/{graph, node_def, attr_value, tensor, tensor_shape}.proto.
 */
const root = protobuf.Root.fromJSON({
  nested: {
    SavedModel: {
      fields: { savedModelSchemaVersion: field(1, 'int64'), metaGraphs: repeated(2, 'MetaGraphDef') },
    },
    MetaGraphDef: { fields: { metaInfoDef: field(1, 'MetaInfoDef'), graphDef: field(2, 'GraphDef') } },
    MetaInfoDef: { fields: { tags: repeated(4, 'string') } },
    GraphDef: { fields: { node: repeated(1, 'NodeDef'), versions: field(4, 'VersionDef') } },
    VersionDef: { fields: { producer: field(1, 'int32') } },
    NodeDef: {
      fields: {
        name: field(1, 'string'),
        op: field(2, 'string'),
        input: repeated(3, 'string'),
        attr: map(5, 'AttrValue'),
      },
    },
    AttrValue: {
      oneofs: { value: { oneof: ['s', 'i', 'b', 'type', 'shape', 'tensor'] } },
      fields: {
        s: field(2, 'bytes'),
        i: field(3, 'int64'),
        b: field(5, 'bool'),
        type: field(6, 'int32'),
        shape: field(7, 'TensorShapeProto'),
        tensor: field(8, 'TensorProto'),
      },
    },
    TensorShapeProto: {
      fields: { dim: repeated(2, 'Dim') },
      nested: { Dim: { fields: { size: field(1, 'int64') } } },
    },
    TensorProto: {
      fields: {
        dtype: field(1, 'int32'),
        tensorShape: field(2, 'TensorShapeProto'),
        tensorContent: field(4, 'bytes'),
      },
    },
  },
});

export const SavedModel: protobuf.Type = root.lookupType('SavedModel');
