/** What a thread offers: asynchronous functions over structured-cloneable values. */
export type Api = { readonly [method: string]: (...args: never[]) => Promise<unknown> };

export interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** The method that every thread answers, once its module has loaded. */
export const READY = '';

/** The method that ends every thread, without an answer. */
export const CLOSE = '<close>';

export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SerialisedError };

/** What errors say of themselves besides their message: see `isUnavailable` and `isRetriable` of `@rlhf-streams/bus`. */
const OWN_FIELDS = ['code', 'unavailable', 'retriable'] as const;

type OwnFields = { readonly [Name in (typeof OWN_FIELDS)[number]]?: unknown };

/** Errors lose their own fields in a structured clone: these and the cause travel by hand. */
export interface SerialisedError extends OwnFields {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: SerialisedError;
}

export function serialiseError(thrown: unknown): SerialisedError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown) };
  return {
    ...ownFieldsOf(thrown as OwnFields),
    name: thrown.name,
    message: thrown.message,
    ...(thrown.stack !== undefined && { stack: thrown.stack }),
    ...(thrown.cause !== undefined && { cause: serialiseError(thrown.cause) }),
  };
}

export function reviveError(error: SerialisedError): Error {
  const revived = new Error(error.message, error.cause && { cause: reviveError(error.cause) });
  revived.name = error.name;
  if (error.stack !== undefined) revived.stack = error.stack;
  return Object.assign(revived, ownFieldsOf(error));
}

function ownFieldsOf(error: OwnFields): OwnFields {
  const named = OWN_FIELDS.map((name) => [name, error[name]] as const);
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}
