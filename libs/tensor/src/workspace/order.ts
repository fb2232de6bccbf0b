/** What a call touches of the state. */
export interface Access {
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** It writes while it computes: all calls before it must have ended. */
  readonly inPlace?: boolean;
}

/** Makes the effects of a call those of the state, and gives its result. */
export type Commit<T> = () => T;

export interface CallOrder {
  /**
   * Computes calls side by side where none reads what an earlier one is about to write, and commits them in the order
   * in which they were made. Calls begin in that order: what `compute` waits for before it says `begun` holds up all
   * calls behind it, and none before it. A call that fails is passed over.
   */
  enqueue<T>(access: Access, compute: (begun: () => void) => Promise<Commit<T>>): Promise<T>;
  /** Resolves when all calls made so far have ended. */
  settled(): Promise<void>;
}

export function callOrder(): CallOrder {
  const pending = new Set<Access & { readonly ended: Promise<void> }>();
  let begunBefore: Promise<void> = Promise.resolve();
  let endedBefore: Promise<void> = Promise.resolve();

  return {
    enqueue(access, compute) {
      const blocking = [...pending].filter(
        ({ writes }) => access.inPlace || writes.some((name) => access.reads.includes(name)),
      );
      const [mayBegin, mayCommit] = [begunBefore, endedBefore];
      const { promise: begun, resolve: begin } = withResolvers();
      const computed = (async () => {
        try {
          await mayBegin;
          for (const { ended } of blocking) await ended;
          return await compute(begin);
        } finally {
          begin();
        }
      })();
      const committed = (async () => {
        await mayCommit;
        return (await computed)();
      })();
      // The caller gets the failure of a call; the calls behind it only wait for its end.
      const ended = committed.then(
        () => {},
        () => {},
      );
      computed.catch(() => {});
      const call = { ...access, ended };
      pending.add(call);
      begunBefore = begun;
      endedBefore = ended.then(() => {
        pending.delete(call);
      });
      return committed;
    },
    settled: () => endedBefore,
  };
}

function withResolvers() {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
