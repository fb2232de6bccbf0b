/** L2-regularised logistic regression on sparse rows: deterministic, full-batch, float64. */

/** Row i holds `values[k]` in column `columns[k]` for offsets[i] <= k < offsets[i + 1] (compressed sparse rows). */
export interface SparseRows {
  readonly offsets: Uint32Array;
  readonly columns: Uint32Array;
  /** Not negative. */
  readonly values: Float64Array;
}

export interface LogisticModel {
  readonly bias: number;
  readonly weights: Float64Array;
}

/**
 * Minimises mean_i log(1 + exp(-s_i z_i)) + l2/2 |w|^2 with z_i = bias + w . x_i and s_i = +-1 for labels 1 and 0;
 * the bias is not regularised.
 *
 * Nesterov's accelerated gradient, one step size per column, restarted when the momentum points uphill, until no
 * component of the gradient exceeds `tolerance` or `maxIterations` have passed. No randomness: the same rows give
 * the same bits.
 * Source: Nesterov 1983; O'Donoghue & Candes 2015 (restarts).
 */
export function fitLogistic(
  rows: SparseRows,
  labels: Uint8Array,
  columnCount: number,
  options: { l2: number; maxIterations: number; tolerance: number },
): LogisticModel {
  const { l2, maxIterations, tolerance } = options;
  const steps = stepSizes(rows, columnCount, l2);
  // The bias is the last coordinate of every vector here.
  let current = new Float64Array(columnCount + 1);
  let previous = current;
  let momentum = 1;
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    const nextMomentum = (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
    const extrapolation = (momentum - 1) / nextMomentum;
    const point = current.map((value, j) => value + extrapolation * (value - previous[j]!));
    const gradient = logisticGradient(rows, labels, point, l2);
    const next = point.map((value, j) => value - steps[j]! * gradient[j]!);
    let largest = 0;
    let uphill = 0;
    for (let j = 0; j < next.length; j++) {
      largest = Math.max(largest, Math.abs(gradient[j]!));
      uphill += gradient[j]! * (next[j]! - current[j]!);
    }
    previous = current;
    current = next;
    momentum = uphill > 0 ? 1 : nextMomentum;
    if (largest < tolerance) break;
  }
  return { bias: current[columnCount]!, weights: current.slice(0, columnCount) };
}

/**
 * Steps that never overshoot: the Hessian is at most X'X/4n + l2, and X'X at most diag(X' X 1) for X without negative
 * entries. Rare words get steps thousands of times larger than "the", which is what makes the fit quick.
 */
function stepSizes({ offsets, columns, values }: SparseRows, columnCount: number, l2: number): Float64Array {
  const n = offsets.length - 1;
  const curvature = new Float64Array(columnCount + 1).fill(l2, 0, columnCount);
  for (let i = 0; i < n; i++) {
    const start = offsets[i]!;
    const end = offsets[i + 1]!;
    let rowSum = 1;
    for (let k = start; k < end; k++) rowSum += values[k]!;
    for (let k = start; k < end; k++) curvature[columns[k]!]! += (values[k]! * rowSum) / (4 * n);
    curvature[columnCount]! += rowSum / (4 * n);
  }
  return curvature.map((value) => 1 / value);
}

function logisticGradient(
  { offsets, columns, values }: SparseRows,
  labels: Uint8Array,
  point: Float64Array<ArrayBuffer>,
  l2: number,
): Float64Array<ArrayBuffer> {
  const bias = point.length - 1;
  const gradient = point.map((value, j) => (j === bias ? 0 : l2 * value));
  for (let i = 0; i < labels.length; i++) {
    const start = offsets[i]!;
    const end = offsets[i + 1]!;
    let z = point[bias]!;
    for (let k = start; k < end; k++) z += point[columns[k]!]! * values[k]!;
    const residual = (1 / (1 + Math.exp(-z)) - labels[i]!) / labels.length;
    for (let k = start; k < end; k++) gradient[columns[k]!]! += residual * values[k]!;
    gradient[bias]! += residual;
  }
  return gradient;
}
