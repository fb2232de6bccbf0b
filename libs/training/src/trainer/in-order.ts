/**
 * Starts `count` jobs, at most `lanes` at a time, and hands their results over in the jobs' own order: what is
 * added up from them does not depend on which finished first. A job has its lane, and so the buffers of that lane, to
 * itself until its result has been taken.
 */
export async function inOrder<Result>(
  count: number,
  lanes: number,
  start: (job: number, lane: number) => Promise<Result>,
  take: (result: Result, job: number, lane: number) => void,
): Promise<void> {
  const running: Promise<Result>[] = [];
  const launch = (job: number) => {
    const promise = start(job, job % lanes);
    // A later job may fail while an earlier one is awaited: its rejection is met when its turn comes.
    promise.catch(() => {});
    running[job] = promise;
  };
  for (let job = 0; job < Math.min(count, lanes); job++) launch(job);
  try {
    for (let job = 0; job < count; job++) {
      take(await running[job]!, job, job % lanes);
      if (job + lanes < count) launch(job + lanes);
    }
  } catch (error) {
    await Promise.allSettled(running);
    throw error;
  }
}
