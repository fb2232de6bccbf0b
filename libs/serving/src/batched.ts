import DataLoader from 'dataloader';

const MOST = 64;

/**
 * Requests made at the same time are computed together, at most 64 of them. One that `mayFail` is computed by itself:
 * it alone fails, not those it came with.
 */
export function batched<Input, Output>(
  compute: (inputs: readonly Input[]) => Promise<readonly Output[]>,
  mayFail: (input: Input) => boolean,
): (input: Input) => Promise<Output> {
  const batches = new DataLoader<Input, Output>(compute, {
    cache: false,
    maxBatchSize: MOST,
    batchScheduleFn: (dispatch) => setImmediate(dispatch),
  });
  return async (input) => (mayFail(input) ? (await compute([input]))[0]! : batches.load(input));
}
