/** The result of `work`, if it comes within `ms` milliseconds; else `late` is thrown. */
export async function withDeadline<T>(work: Promise<T>, ms: number, late: Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, ms, late);
  });
  return Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}
