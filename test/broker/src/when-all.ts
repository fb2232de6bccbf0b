/** Like `Promise.all`, but throws a failure only when all have ended, so that none goes on behind the caller's back. */
export async function whenAll<T>(works: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}
