declare module 'lz4js' {
  /** Of an LZ4 frame. */
  export function decompress(frame: Uint8Array): Uint8Array;
}

declare module 'snappyjs' {
  /** Of one raw block. */
  export function uncompress(block: Uint8Array): Uint8Array;
}
