/** Memory of a workspace that the threads of a pool share. */
import { type Specs, sizeOf, type TensorSpec, type TypedBuffer } from '../engine.js';
import { type Loops, plainLoops, type Span } from '../loops/loops.js';
import { simdLoops } from '../loops/simd.js';
import { PAGE_BYTES } from '../loops/webassembly.js';

/** A WebAssembly memory has 4 GiB at most. With a page less, the end of the memory is an i32 address too. */
export const MOST_BYTES = 65_535 * PAGE_BYTES;

/** Bytes of a cache line. */
const ALIGNMENT = 64;

/** Shared memory for the results of a call. */
export interface Region {
  readonly buffer: SharedArrayBuffer;
  readonly begin: number;
  readonly bytes: number;
  /** Whether it lies in the WebAssembly memory, at `begin`. */
  readonly hasAddress: boolean;
}

/** What a thread needs to work on the memory; it can be sent to one. */
export interface ThreadMemory {
  readonly spans: Readonly<Record<string, Span>>;
  readonly memory?: WebAssembly.Memory;
  /** The most pages that the memory may grow to. */
  readonly maximum: number;
}

export interface SharedMemory extends ThreadMemory {
  readonly loops: Loops;
  allocate(bytes: number): Region;
}

/**
 * One WebAssembly memory for all tensors and what is allocated later, for the vectorised loops. What goes beyond `most`
 * bytes lies in memory of its own, and has the plain loops.
 */
export function sharedMemory(state: Specs, most: number): SharedMemory {
  const maximum = Math.floor(most / PAGE_BYTES);
  const { offsets, bytes } = layOut(Object.values(state));
  const names = Object.keys(state);
  if (bytes === 0 || bytes > maximum * PAGE_BYTES) {
    const spans = Object.fromEntries(
      names.map((name) => [name, { view: view(state[name]!, plainRegion(bytesOf(state[name]!)).buffer, 0) }]),
    );
    return { spans, maximum, loops: plainLoops, allocate: plainRegion };
  }
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum, shared: true });
  const spans = Object.fromEntries(
    names.map((name, i) => [
      name,
      { view: view(state[name]!, memory.buffer, offsets[i]!), address: offsets[i]! },
    ]),
  );
  let end = bytes;
  return {
    spans,
    memory,
    maximum,
    loops: simdLoops(memory, maximum),
    allocate(size) {
      const missing = Math.ceil((end + size - memory.buffer.byteLength) / PAGE_BYTES);
      if (end + size > maximum * PAGE_BYTES) return plainRegion(size);
      if (missing > 0) memory.grow(missing);
      const region = { buffer: memory.buffer, begin: end, bytes: size, hasAddress: true };
      end += align(size);
      return region;
    },
  };
}

const plainRegion = (bytes: number): Region => ({
  buffer: new SharedArrayBuffer(bytes),
  begin: 0,
  bytes,
  hasAddress: false,
});

/** Where each of some tensors begins when they lie one after the other, and how many bytes they take. */
export function layOut(specs: readonly TensorSpec[]): { readonly offsets: number[]; readonly bytes: number } {
  let bytes = 0;
  const offsets = specs.map((spec) => {
    const offset = bytes;
    bytes += align(bytesOf(spec));
    return offset;
  });
  return { offsets, bytes };
}

/** A tensor that lies at an offset of a region. */
export const spanIn = (region: Region, spec: TensorSpec, offset: number): Span => ({
  view: view(spec, region.buffer, region.begin + offset),
  ...(region.hasAddress && { address: region.begin + offset }),
});

const view = ({ dtype, shape }: TensorSpec, buffer: SharedArrayBuffer, offset: number): TypedBuffer =>
  dtype === 'int32'
    ? new Int32Array(buffer, offset, sizeOf(shape))
    : new Float32Array(buffer, offset, sizeOf(shape));
const bytesOf = ({ shape }: TensorSpec): number => sizeOf(shape) * 4;
const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
