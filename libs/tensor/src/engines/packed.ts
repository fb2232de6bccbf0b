/**
 * Matrices laid out for products, in a file that sessions map. ONNX Runtime lays out ("prepacks") a matrix that a product
 * has on its right in memory of each session, which takes a copy of the model for each; products with matrices as they
 * are read take twice as long where there are few rows. What one session laid out is saved, and named by its hash: other
 * sessions find it in the file.
 */
import './no-telemetry.js';
import { type FileHandle, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, InferenceSession } from 'onnxruntime-node';
import { trace } from '../capture/capture.js';
import { type PackedMatrix, type Program, type Specs, type StoredTensors, sizeOf } from '../engine.js';
import { TensorError } from '../errors.js';
import { withConstants, withoutInputs } from '../onnx/constants.js';
import { createGraph, type GraphValue } from '../onnx/graph.js';
import { ModelProto } from '../onnx/schema.js';
import { mapFile } from './mapped.js';

/** What a layout depends on, beside the numbers. The processor does, too: a session lays out anew what does not fit it. */
export const PACKING: unknown = [1, env.versions.common, process.arch];

/** Products by which programs use matrices of the state: x W, or x W^T where `transposed`. */
export type Products = ReadonlyMap<string, { readonly transposed: boolean }>;

const PRODUCTS: readonly string[] = ['MatMul', 'FusedMatMul'];
/** ONNX Runtime makes a `Gemm` of a product and the sum that follows it; all three lay out their matrices alike. */
const OPERATORS = [...PRODUCTS, 'Gemm'];

/** The matrices that a program has on the right of products. */
export function productsOf(program: Program, state: Specs): Products {
  const { graph, state: values } = trace(program, state);
  const names = new Map(Object.entries(values).map(([name, value]) => [value, name]));
  return new Map(
    graph.live.flatMap(({ op, inputs, options }) => {
      const name = PRODUCTS.includes(op) ? names.get(inputs[1]!) : undefined;
      if (name === undefined || state[name]!.shape.length !== 2) return [];
      const { transB } = options.attributes ?? {};
      return [[name, { transposed: transB !== undefined && 'int' in transB && transB.int === 1 }] as const];
    }),
  );
}

/** Bytes laid out at a time: what packing takes of memory beside the largest matrix. */
const PART_BYTES = 2 ** 26;
/** Mapped pages begin at multiples of this. */
const ALIGNMENT = 4096;
/** Ends the contents: the byte at which their index begins. What keeps them may put a few bytes behind it. */
const footerOf = (begin: number): string => `index at ${String(begin).padStart(16, '0')}`;
const FOOTER = /index at (\d{16})/;
const END_BYTES = 64;

/**
 * Contents of a file with all tensors of a file as they are, and the matrices of products a second time, as sessions lay
 * them out; to be read by {@link packedTensors}.
 */
export async function* packedContents(
  stored: StoredTensors,
  state: Specs,
  products: Products,
): AsyncGenerator<Uint8Array> {
  const offsets: Record<string, number> = {};
  const packed: Record<string, PackedMatrix[]> = {};
  let at = 0;
  const align = () => {
    const padding = new Uint8Array((ALIGNMENT - (at % ALIGNMENT)) % ALIGNMENT);
    at += padding.length;
    return padding;
  };
  const folder = await mkdtemp(join(tmpdir(), 'packing-'));
  try {
    for (const names of partsOf(Object.keys(stored.offsets), state)) {
      const laidOut = await layOut(stored, state, names, products, folder);
      const file = await open(join(folder, LAID_OUT));
      try {
        for (const name of names) {
          const { begin, bytes, matrices } = laidOut.get(name)!;
          yield align();
          offsets[name] = at;
          for await (const piece of pieces(file, begin, bytes)) {
            yield piece;
            at += piece.length;
          }
          for (const { key, begin, bytes } of matrices) {
            yield align();
            packed[name] = OPERATORS.map((operator) => ({
              key: key.replace(/^\w+/, operator),
              offset: at,
              bytes,
            }));
            for await (const piece of pieces(file, begin, bytes)) {
              yield piece;
              at += piece.length;
            }
          }
        }
      } finally {
        await file.close();
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  yield Buffer.from(JSON.stringify({ offsets, packed }));
  yield Buffer.from(footerOf(at));
}

/** The tensors in a file of {@link packedContents}. @throws TensorError TENSOR_BAD_INPUT when it is none */
export async function packedTensors(path: string): Promise<StoredTensors> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const end = await bytesOf(file, Math.max(0, size - END_BYTES), Math.min(size, END_BYTES));
    const footer = FOOTER.exec(end.toString('latin1'));
    if (!footer)
      throw new TensorError('TENSOR_BAD_INPUT', `expected a file of packed tensors, got ${path}: remove it`);
    const begin = Number(footer[1]);
    const index = await bytesOf(file, begin, size - end.length + footer.index - begin);
    return { file: path, ...(JSON.parse(index.toString()) as Omit<StoredTensors, 'file'>) };
  } finally {
    await file.close();
  }
}

async function bytesOf(file: FileHandle, begin: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  await file.read(buffer, 0, bytes, begin);
  return buffer;
}

async function* pieces(file: FileHandle, begin: number, bytes: number) {
  for (let done = 0; done < bytes; ) {
    const piece = Buffer.alloc(Math.min(2 ** 20, bytes - done));
    const { bytesRead } = await file.read(piece, 0, piece.length, begin + done);
    if (bytesRead === 0)
      throw new TensorError(
        'TENSOR_BAD_INPUT',
        'expected a whole file of what was laid out: is the disk full?',
      );
    done += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

function partsOf(names: readonly string[], state: Specs): string[][] {
  const parts: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const size = 4 * sizeOf(state[name]!.shape);
    if (bytes + size > PART_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(name);
    bytes += size;
  }
  return parts;
}

interface LaidOut {
  readonly begin: number;
  readonly bytes: number;
  readonly matrices: readonly { readonly key: string; readonly begin: number; readonly bytes: number }[];
}

const [LAID_OUT, MODEL] = ['laid-out.bin', 'model.onnx'];

/** Opens a session that has these tensors as constants, and saves what it made of them. */
async function layOut(
  stored: StoredTensors,
  state: Specs,
  names: readonly string[],
  products: Products,
  folder: string,
): Promise<ReadonlyMap<string, LaidOut>> {
  const mapped = mapFile(stored);
  const graph = createGraph();
  const vectors = new Map<number, GraphValue>();
  const index = graph.input('int32', [1]);
  const inputs = new Map(names.map((name) => [name, graph.input('float32', state[name]!.shape)]));
  for (const [name, value] of inputs) {
    const product = products.get(name);
    if (!product) {
      graph.output(graph.node('Gather', [value, index], 'float32', [1, ...value.shape.slice(1)]));
      continue;
    }
    const [from, to] = (product.transposed ? value.shape.toReversed() : value.shape) as [number, number];
    const x = vectors.get(from) ?? graph.input('float32', [2, from]);
    vectors.set(from, x);
    graph.output(
      product.transposed
        ? graph.node('FusedMatMul', [x, value], 'float32', [2, to], {
            domain: 'com.microsoft',
            attributes: { transA: { int: 0 }, transB: { int: 1 } },
          })
        : graph.node('MatMul', [x, value], 'float32', [2, to]),
    );
  }
  const constants = Object.fromEntries(
    [...inputs].map(([name, value]) => {
      const spec = state[name]!;
      return [value.name, { spec, values: mapped.part(name, spec)! }];
    }),
  );
  const rest = withoutInputs(graph.encode().model, new Set(Object.keys(constants)));
  const session = await InferenceSession.create(withConstants(rest, constants), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    optimizedModelFilePath: join(folder, MODEL),
    extra: {
      session: {
        model_external_initializers_file_folder_path: mapped.folder,
        optimized_model_external_initializers_file_name: LAID_OUT,
        optimized_model_external_initializers_min_size_in_bytes: '1',
        save_external_prepacked_constant_initializers: '1',
      },
    },
  });
  await session.release();
  const saved = ModelProto.decode(await readFile(join(folder, MODEL))) as unknown as {
    graph: { initializer: { name: string; externalData: { key: string; value: string }[] }[] };
  };
  const byValue = new Map(saved.graph.initializer.map(({ name, externalData }) => [name, externalData]));
  return new Map([...inputs].map(([name, value]) => [name, laidOutBy(byValue.get(value.name)!)]));
}

/** Of a matrix that a product has on its right: `OPERATOR+HASH|OFFSET;BYTES;CHECKSUM`. */
function laidOutBy(data: readonly { readonly key: string; readonly value: string }[]): LaidOut {
  const of = (wanted: string) => data.find(({ key }) => key === wanted)?.value ?? '0';
  return {
    begin: Number(of('offset')),
    bytes: Number(of('length')),
    matrices: data
      .filter(({ key }) => key.startsWith('prepacked'))
      .map(({ value }) => {
        const [key, place] = value.split('|') as [string, string];
        const [begin, bytes] = place.split(';').map(Number) as [number, number];
        return { key, begin, bytes };
      }),
  };
}
