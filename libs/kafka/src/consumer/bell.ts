/** One loop waits, others wake it. A ring that nobody waits for is heard by the next wait, so none is missed. */
export interface Bell {
  ring(): void;
  /** Resolves when it rings, or has since the last wait, or after `ms`. For one waiter at a time. */
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
