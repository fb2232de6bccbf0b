/** Wakes one loop that waits. A ring that comes while it does not wait ends its next wait at once, so none is missed. */
export interface Bell {
  ring(): void;
  /** Resolves when the bell rings, if it rang since the last wait, or after `ms` milliseconds. For one waiter at a time. */
  rung(ms?: number): Promise<void>;
}

export function createBell(): Bell {
  let rang = false;
  let wake = () => {};
  return {
    ring() {
      rang = true;
      wake();
    },
    async rung(ms) {
      if (!rang)
        await new Promise<void>((resolve) => {
          const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      rang = false;
    },
  };
}
