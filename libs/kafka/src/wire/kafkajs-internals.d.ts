/**
 * The parts of kafkajs below its clients: connections, authentication and the wire protocol. Its package has no export
 * map, and its version is pinned. Above each module stands who imports it, in this folder alone.
 */

/** `cluster.ts` */
declare module 'kafkajs/src/broker/index.js' {
  /** Is a `Broker` of `protocol.ts`, which a declaration here cannot import. */
  const Broker: new (options: {
    readonly connectionPool: unknown;
    readonly logger: unknown;
    readonly authenticationTimeout: number;
    readonly allowAutoTopicCreation: boolean;
  }) => unknown;
  export default Broker;
}

/** `cluster.ts`, `wire.ts` */
declare module 'kafkajs/src/network/connectionPool.js' {
  import type { Socket } from 'node:net';
  import type { ConnectionOptions } from 'node:tls';

  export interface SocketDestination {
    readonly host: string;
    readonly port: number;
    readonly ssl?: ConnectionOptions;
    onConnect(): void;
  }
  /** Up to two connections: one for fetches, one for all else. */
  const ConnectionPool: new (options: {
    readonly host: string;
    readonly port: number;
    readonly logger: unknown;
    readonly socketFactory: (destination: SocketDestination) => Socket;
    readonly clientId: string;
    readonly ssl: ConnectionOptions | undefined;
    readonly sasl: object | undefined;
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly enforceRequestTimeout: boolean;
    readonly reauthenticationThreshold: number;
  }) => unknown;
  export default ConnectionPool;
}

/** `cluster.ts` */
declare module 'kafkajs/src/loggers/index.js' {
  const loggers: {
    createLogger(options: {
      level: number;
      logCreator: (
        level: number,
      ) => (entry: { level: number; log: { message: string; [field: string]: unknown } }) => void;
    }): unknown;
  };
  export default loggers;
}

/** `sasl.ts` */
declare module 'kafkajs/src/broker/saslAuthenticator/plain.js' {
  export interface SaslContext {
    readonly saslAuthenticate: (exchange: object) => Promise<unknown>;
  }
  export default function provider(login: {
    readonly username: string;
    readonly password: string;
  }): (context: SaslContext) => { authenticate(): Promise<void> };
}

/** `sasl.ts` */
declare module 'kafkajs/src/broker/saslAuthenticator/scram256.js' {
  export { default } from 'kafkajs/src/broker/saslAuthenticator/plain.js';
}

/** `sasl.ts` */
declare module 'kafkajs/src/broker/saslAuthenticator/scram512.js' {
  export { default } from 'kafkajs/src/broker/saslAuthenticator/plain.js';
}

/** `countermeasures.ts` */
declare module 'kafkajs/src/network/requestQueue/index.js' {
  const RequestQueue: {
    prototype: {
      pending: unknown[];
      throttledUntil: number;
      throttleCheckTimeoutId: NodeJS.Timeout | null;
      checkPendingRequests(): void;
      scheduleCheckPendingRequests(): void;
    };
  };
  export default RequestQueue;
}

/** `countermeasures.ts` */
declare module 'kafkajs/src/network/connection.js' {
  import type { Socket } from 'node:net';

  const Connection: {
    prototype: {
      readonly host: string;
      readonly port: number;
      socket?: Socket;
      authenticatedAt: unknown;
      connectionStatus: unknown;
      chunks: Buffer[];
      bytesBuffered: number;
      bytesNeeded: number;
      readonly requestQueue: { destroy(): void };
      authHandlers: { onError(): void } | null;
      connect(): Promise<unknown>;
      disconnect(): Promise<unknown>;
      rejectRequests(error: Error): void;
    };
  };
  export default Connection;
}

/** `countermeasures.ts` */
declare module 'kafkajs/src/network/connectionStatus.js' {
  const statuses: { readonly CONNECTION_STATUS: { readonly DISCONNECTED: unknown } };
  export default statuses;
}

/** `countermeasures.ts` */
declare module 'kafkajs/src/errors.js' {
  const errors: {
    readonly KafkaJSConnectionClosedError: new (
      message: string,
      broker: { readonly host: string; readonly port: number },
    ) => Error;
  };
  export default errors;
}

/** `cluster.ts`, `countermeasures.ts`, `offset-fetch.ts`, `requests.ts` */
declare module 'kafkajs/src/protocol/error.js' {
  const protocolErrors: {
    readonly errorCodes: { type: string; code: number; retriable: boolean; message: string }[];
    createErrorFromCode(code: number): Error & { readonly type: string };
  };
  export default protocolErrors;
}

/** `offset-fetch.ts`, `requests.ts` */
declare module 'kafkajs/src/protocol/encoder.js' {
  export default class Encoder {
    writeArray(items: readonly (string | Encoder)[]): this;
    writeBoolean(value: boolean): this;
    writeDouble(value: number): this;
    writeInt32(value: number): this;
    writeString(text: string): this;
    /** The compact encodings: lengths are variable-length integers, one more than what they count. */
    writeUVarInt(value: number): this;
    writeUVarIntString(text: string): this;
    writeUVarIntArray(items: readonly Encoder[]): this;
  }
}

/** `offset-fetch.ts`, `requests.ts` */
declare module 'kafkajs/src/protocol/decoder.js' {
  export default class Decoder {
    constructor(bytes: Buffer);
    readInt16(): number;
    readInt32(): number;
    readInt64(): bigint;
    readString(): string;
    readBytes(): Buffer | null;
    readUVarIntString(): string;
    readUVarIntArray<T>(read: (decoder: Decoder) => T): T[] | null;
    /** Skips the tagged fields. */
    readTaggedFields(): void;
    readArray<T>(read: (decoder: Decoder) => T): T[];
    readArrayAsync<T>(read: (decoder: Decoder) => Promise<T>): Promise<T[]>;
  }
}

/** `requests.ts` */
declare module 'kafkajs/src/protocol/requests/metadata/v6/response.js' {
  const response: { decode(bytes: Buffer): Promise<unknown> };
  export default response;
}

/** `requests.ts` */
declare module 'kafkajs/src/protocol/requests/fetch/v11/request.js' {
  export default function fetchRequest(request: {
    readonly replicaId: number;
    readonly isolationLevel: number;
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    readonly topics: readonly object[];
  }): unknown;
}

/** `requests.ts` */
declare module 'kafkajs/src/protocol/recordBatch/v0/decoder.js' {
  import type Decoder from 'kafkajs/src/protocol/decoder.js';

  /** Is a `FetchedBatch` of `protocol.ts` but for its numbers. */
  export default function decodeBatch(decoder: Decoder): Promise<unknown>;
}
