import type { TensorSpec, TypedBuffer } from '../engine.js';
import type { Span } from '../loops/loops.js';

/** A tensor of the state in memory of the host. */
export interface HostTensor {
  readonly name: string;
  readonly spec: TensorSpec;
  /** Changes with each change of its numbers. */
  readonly version: number;
  /** Whether it counts as 0, whatever its memory holds: that is filled when it is next used. */
  readonly isZero: boolean;
  /** The numbers as they are. */
  read(): Span;
  /** The numbers, some of which are about to be changed. */
  write(): Span;
  /** Its memory as it is, for a caller who writes every number and who has asked `isZero` if it reads any before. */
  overwrite(): Span;
  /** New numbers, in a buffer that nobody changes afterwards. */
  replace(buffer: TypedBuffer): void;
  /** Makes it 0, which takes no time until its next use. */
  setZero(): void;
}

/** @param options.adopts keeps the buffers it is given by `replace`, instead of what they hold */
export function hostTensor(
  name: string,
  spec: TensorSpec,
  memory: Span,
  { adopts = false }: { readonly adopts?: boolean } = {},
): HostTensor {
  let span = memory;
  let version = 0;
  let isZero = false;
  const read = () => {
    if (isZero) span.view.fill(0);
    isZero = false;
    return span;
  };
  return {
    name,
    spec,
    get version() {
      return version;
    },
    get isZero() {
      return isZero;
    },
    read,
    write() {
      version++;
      return read();
    },
    overwrite() {
      version++;
      isZero = false;
      return span;
    },
    replace(buffer) {
      version++;
      isZero = false;
      if (adopts) span = { view: buffer };
      else span.view.set(buffer);
    },
    setZero() {
      version++;
      isZero = true;
    },
  };
}
