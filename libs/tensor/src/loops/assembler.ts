/** As much of an assembler for WebAssembly (https://webassembly.github.io/spec/core/binary) as loops over vectors take. */
import './webassembly.js';

type Code = readonly number[];
export type ValueType = keyof typeof VALUE_TYPES;

const VALUE_TYPES = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;

export interface WasmFunction {
  readonly parameters: readonly ValueType[];
  readonly locals: readonly ValueType[];
  readonly result?: ValueType;
  readonly body: Code;
}

/** Locals by name: parameters first. */
export function named<P extends string, L extends string = never>(
  parameters: Readonly<Record<P, ValueType>>,
  locals: Readonly<Record<L, ValueType>>,
  build: (get: Readonly<Record<P | L, Code>>, set: Readonly<Record<P | L, (value: Code) => Code>>) => Code,
  result?: ValueType,
): WasmFunction {
  const names = [...Object.keys(parameters), ...Object.keys(locals)] as (P | L)[];
  const each = <T>(make: (index: number) => T) =>
    Object.fromEntries(names.map((name, index) => [name, make(index)])) as Record<P | L, T>;
  return {
    parameters: Object.values(parameters),
    locals: Object.values(locals),
    ...(result && { result }),
    body: build(
      each((index) => [0x20, ...unsigned(index)]),
      each((index) => (value) => [...value, 0x21, ...unsigned(index)]),
    ),
  };
}

const simd = (op: number): Code => [0xfd, ...unsigned(op)];
const binary =
  (op: Code) =>
  (a: Code, b: Code): Code => [...a, ...b, ...op];
const unary =
  (op: Code) =>
  (a: Code): Code => [...a, ...op];
/** Addresses are multiples of 16. */
const aligned = (offset: number): Code => [4, ...unsigned(offset)];

export const i32Add = (a: Code, value: number): Code => [...a, 0x41, ...signed(value), 0x6a];
export const f64Add = binary([0xa0]);
export const load = (address: Code, offset = 0): Code => [...address, ...simd(0), ...aligned(offset)];
export const store = (address: Code, value: Code): Code => [...address, ...value, ...simd(11), ...aligned(0)];
export const f32x4 = {
  splat: unary(simd(0x13)),
  sqrt: unary(simd(0xe3)),
  add: binary(simd(0xe4)),
  sub: binary(simd(0xe5)),
  mul: binary(simd(0xe6)),
  div: binary(simd(0xe7)),
};
export const f64x2 = {
  /** The lower two of four float32. */
  promoteLow: unary(simd(0x5f)),
  add: binary(simd(0xf0)),
  mul: binary(simd(0xf2)),
  lane: (value: Code, index: 0 | 1): Code => [...value, ...simd(0x21), index],
};
/** The upper 64 bits of a vector in the place of the lower. */
export const upperHalf = (value: Code): Code => {
  const bytes = Array.from({ length: 16 }, (_, i) => (i + 8) % 16);
  return [...value, ...value, ...simd(13), ...bytes];
};

/** while (at < end) body, where both are addresses. */
export const whileBelow = (at: Code, end: Code, body: Code): Code => [
  ...[0x02, 0x40, 0x03, 0x40],
  ...at,
  ...end,
  ...[0x4f, 0x0d, 1],
  ...body,
  ...[0x0c, 0, 0x0b, 0x0b],
];

/** A module over one shared memory that is imported as `env.memory`. */
export function assemble(
  functions: Readonly<Record<string, WasmFunction>>,
  memory: { readonly initial: number; readonly maximum: number },
): WebAssembly.Module {
  const all = Object.values(functions);
  const types = all.map(({ parameters, result }) => [
    0x60,
    ...vector(parameters.map((type) => [VALUE_TYPES[type]])),
    ...vector(result ? [[VALUE_TYPES[result]]] : []),
  ]);
  const bodies = all.map(({ locals, body }) => {
    const code = [...vector(locals.map((type) => [1, VALUE_TYPES[type]])), ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  const shared = 3;
  const limits = [shared, ...unsigned(memory.initial), ...unsigned(memory.maximum)];
  return new WebAssembly.Module(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, vector(types)),
      ...section(2, vector([[...text('env'), ...text('memory'), 2, ...limits]])),
      ...section(3, vector(all.map((_, index) => unsigned(index)))),
      ...section(
        7,
        vector(Object.keys(functions).map((name, index) => [...text(name), 0, ...unsigned(index)])),
      ),
      ...section(10, vector(bodies)),
    ]),
  );
}

const section = (id: number, body: Code): Code => [id, ...unsigned(body.length), ...body];
const vector = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const text = (value: string): Code => vector([...Buffer.from(value)].map((byte) => [byte]));

/** LEB128. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return bytes;
}

function signed(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && !(byte & 0x40)) || (rest === -1 && byte & 0x40);
    bytes.push(done ? byte : byte | 0x80);
    if (done) return bytes;
  }
}
