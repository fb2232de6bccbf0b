/** Frozen tensors where they lie in a file: constants of a model that ONNX Runtime maps. */
import { realpathSync, statSync } from 'node:fs';
import { parse } from 'node:path';
import { type Specs, type StoredTensors, sizeOf, type TensorSpec, type TypedBuffer } from '../engine.js';
import type { Span } from '../loops/loops.js';
import { type FilePart, withConstants, withoutInputs } from '../onnx/constants.js';
import type { Model } from '../onnx/model.js';
import { endsBefore, readStored } from './frozen.js';

export interface MappedFile {
  /** The folder that a session has to be told of. */
  readonly folder: string;
  /** Whether the file has the matrices of products laid out. */
  readonly isPacked: boolean;
  has(name: string): boolean;
  /** @throws TensorError TENSOR_BAD_INPUT when the file ends before the tensor does */
  part(name: string, spec: TensorSpec): FilePart | undefined;
  /** Sessions map the file, so its numbers are read into memory only when somebody asks for them. */
  span(name: string, spec: TensorSpec): Span;
}

/** A file of tensors as sessions map it: by its real path, because ONNX Runtime follows no link out of the file's folder. */
export function mapFile(stored: StoredTensors): MappedFile {
  const path = realpathSync(stored.file);
  const { dir: folder, base: file } = parse(path);
  const { size } = statSync(path);
  return {
    folder,
    isPacked: stored.packed !== undefined,
    has: (name) => stored.offsets[name] !== undefined,
    part(name, spec) {
      const offset = stored.offsets[name];
      if (offset === undefined) return undefined;
      const bytes = 4 * sizeOf(spec.shape);
      if (offset + bytes > size) throw endsBefore(stored, name);
      return { file, offset, bytes, packed: stored.packed?.[name] ?? [] };
    },
    span(name, spec) {
      let view: TypedBuffer | undefined;
      return {
        get view() {
          view ??= readStored(stored, { [name]: spec })[name]!;
          return view;
        },
      };
    },
  };
}

/** A model whose mapped tensors are constants, no longer inputs. */
export function withMapped(model: Model, mapped: MappedFile, state: Specs, key: string): Model {
  const entries = Object.entries(model.state);
  const constants = entries.filter(([, name]) => mapped.has(name));
  if (constants.length === 0) return model;
  const names = constants.map(([input, name]) => `${input}=${name}`);
  return {
    ...model,
    bytes: withConstants(
      withoutInputs(model.bytes, new Set(constants.map(([input]) => input))),
      Object.fromEntries(
        constants.map(([input, name]) => {
          const spec = state[name]!;
          return [input, { spec, values: mapped.part(name, spec)! }];
        }),
      ),
    ),
    hash: [model.hash, key, ...names].join(' '),
    state: Object.fromEntries(entries.filter(([, name]) => !mapped.has(name))),
  };
}
