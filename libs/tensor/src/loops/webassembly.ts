/** The part of WebAssembly's JavaScript interface that is used here: TypeScript has it among the types of browsers alone. */
declare global {
  namespace WebAssembly {
    class Memory {
      constructor(limits: { initial: number; maximum: number; shared: true });
      readonly buffer: SharedArrayBuffer;
      /** @returns the pages before */
      grow(pages: number): number;
    }
    class Module {
      constructor(bytes: Uint8Array);
    }
    class Instance {
      constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
      readonly exports: unknown;
    }
  }
}

export const PAGE_BYTES = 65_536;
