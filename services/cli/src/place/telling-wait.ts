/** Says what a command waits for before it can begin, once that takes longer than a person expects. */
const TOLD_AFTER_MS = 3_000;
const TOLD_AGAIN_MS = 15_000;

/** Waits for `work`, and names it on standard error while that takes long. */
export async function tellingWait<T>(what: string, work: Promise<T>): Promise<T> {
  const begun = performance.now();
  let timer: NodeJS.Timeout;
  const tell = () => {
    const seconds = Math.round((performance.now() - begun) / 1000);
    console.error(`waiting for ${what} (${seconds} s)`);
    timer = setTimeout(tell, TOLD_AGAIN_MS).unref();
  };
  timer = setTimeout(tell, TOLD_AFTER_MS).unref();
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}
