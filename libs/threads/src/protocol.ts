/** What a thread offers: asynchronous functions over structured-cloneable values. */
export type Api = { readonly [method: string]: (...args: never[]) => Promise<unknown> };

export interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** Of the call that every thread answers. */
export const READY = '';

/** Of the call that every thread ends at, without an answer. */
export const CLOSE = '<close>';

export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SerialisedError };

/** Errors lose their own fields in a structured clone: code and cause travel by hand. */
export interface SerialisedError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: unknown;
  readonly cause?: SerialisedError;
}

export function serialiseError(thrown: unknown): SerialisedError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown) };
  const code = (thrown as { code?: unknown }).code;
  return {
    name: thrown.name,
    message: thrown.message,
    ...(thrown.stack !== undefined && { stack: thrown.stack }),
    ...(code !== undefined && { code }),
    ...(thrown.cause !== undefined && { cause: serialiseError(thrown.cause) }),
  };
}

export function reviveError(error: SerialisedError): Error {
  const revived = new Error(error.message, error.cause && { cause: reviveError(error.cause) });
  revived.name = error.name;
  if (error.stack !== undefined) revived.stack = error.stack;
  return error.code === undefined ? revived : Object.assign(revived, { code: error.code });
}
