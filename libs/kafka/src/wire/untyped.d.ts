declare module 'lz4js' {
  /** The content of an LZ4 frame. */
  export function decompress(frame: Uint8Array): Uint8Array;
}

declare module 'snappyjs' {
  /** The content of one raw block. */
  export function uncompress(block: Uint8Array): Uint8Array;
}
