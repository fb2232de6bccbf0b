/** Trust region policy optimisation (Schulman et al. 2015): maximise E[rho A] subject to mean KL(pi_old, pi) <= delta. */
import * as tf from '@tensorflow/tfjs';
import { AlignmentError } from './errors.js';
import { categoricalKl } from './kl.js';
import { selectiveLogSoftmax } from './logprobs.js';
import { type Loss, maskedMean, type Normaliser, zeroOutside } from './masked.js';

export interface SurrogateBatch {
  /** log pi of each response token, differentiable. */
  logprobs: tf.Tensor;
  /** log pi_old: the same tokens under the policy that generated them. */
  oldLogprobs: tf.Tensor;
  /** A, a constant. */
  advantages: tf.Tensor;
  /** 1 for response tokens, 0 for padding. */
  mask: tf.Tensor;
  /** Response tokens of the whole batch. */
  normaliser: Normaliser;
}

/**
 * The surrogate objective, negated (equation 14), for tensors of one shape:
 *
 *   L = -mean_m rho_t A_t,  rho_t = exp(log pi(a_t) - log pi_old(a_t))
 */
export function surrogateLoss({
  logprobs,
  oldLogprobs,
  advantages: A,
  mask,
  normaliser,
}: SurrogateBatch): Loss<'ratio'> {
  const rho = tf.exp(zeroOutside(tf.sub(logprobs, oldLogprobs), mask));
  return {
    loss: tf.neg(maskedMean(tf.mul(rho, A), mask, normaliser)),
    stats: { ratio: maskedMean(rho, mask, normaliser) },
  };
}

export interface TrialBatch extends Omit<SurrogateBatch, 'logprobs'> {
  /** [N, V], of the policy that is tried. */
  logits: tf.Tensor2D;
  /** [N, V], of the policy before the step. */
  oldLogits: tf.Tensor2D;
  /** a, the response tokens, [N] int32. */
  ids: tf.Tensor;
}

/**
 * What a line search decides by:
 *
 *   loss = S_old - S, by which the surrogate S = mean_m rho A falls;  kl = mean_m KL(pi_old, pi), over the whole vocabulary
 *
 * The difference is taken token by token: of two sums that are nearly equal, float32 would leave little.
 */
export function trialLoss({
  logits,
  oldLogits,
  ids,
  oldLogprobs,
  advantages: A,
  mask,
  normaliser,
}: TrialBatch): Loss<'kl'> {
  const rho = (logits: tf.Tensor2D) =>
    tf.exp(zeroOutside(tf.sub(selectiveLogSoftmax(logits, ids), oldLogprobs), mask));
  const fall = tf.mul(tf.sub(rho(oldLogits), rho(logits)), A);
  return {
    loss: maskedMean(fall, mask, normaliser),
    stats: { kl: maskedMean(categoricalKl(oldLogits, logits), mask, normaliser) },
  };
}

/**
 * F v, with F the Fisher information matrix, which is the Hessian at theta of mean_m KL(pi_old, pi_theta) (appendix C.1):
 *
 *   F v = J' (H (J v)),  J = dz / dtheta,  H = (diag(p) - p p') m / normaliser for each token,  p = softmax(z)
 *
 * J v is the derivative in u of <J' u, v>, which is linear in u: no operator is differentiated twice, so that J is exact
 * through every `customGrad` whose gradient function is made of differentiable operations. A second derivative of the KL
 * itself would not be: tfjs takes what an operator saved for its gradient to be constant, and says nothing.
 *
 * @param logits z of theta, [N, V]; each tensor of theta must be used
 * @param theta the parameters
 * @param v a vector, in the shapes of theta
 * @param mask [N]
 * @param normaliser tokens of the whole batch: then the products of micro-batches add up to that of the batch
 * @returns in the shapes of theta
 */
export function fisherVectorProduct(
  logits: (...theta: tf.Tensor[]) => tf.Tensor2D,
  theta: tf.Tensor[],
  v: readonly tf.Tensor[],
  { mask, normaliser }: { readonly mask: tf.Tensor; readonly normaliser: Normaliser },
): tf.Tensor[] {
  const z = logits(...theta);
  const vjp = tf.grads(logits);

  const inner = (u: tf.Tensor) =>
    vjp(theta, u)
      .map((JTu, i) => tf.sum(tf.mul(JTu, v[i]!)))
      .reduce((sum, product) => tf.add(sum, product));
  const Jv = tf.grad(inner)(tf.zerosLike(z));

  const p = tf.softmax(z);
  const pJv = tf.mul(p, Jv);
  const HJv = tf.sub(pJv, tf.mul(p, tf.sum(pJv, -1, true)));
  const weight = tf.reshape(tf.div(mask, normaliser), [z.shape[0], 1]);
  return vjp(theta, tf.mul(HJv, weight));
}

/** A vector over all parameters. */
export type Vector = Float32Array | Float64Array;

/** Where conjugate gradient has come to an end. */
export interface Direction<V extends Vector> {
  /** x, about (F + damping I)^-1 g. */
  readonly x: V;
  /** x' (F + damping I) x. */
  readonly curvature: number;
  /** |g - (F + damping I) x|. */
  readonly residual: number;
  readonly iterations: number;
}

/** A squared residual that counts as none. */
const NO_RESIDUAL = 1e-10;

/**
 * Solves (F + damping I) x = g by conjugate gradient, begun at 0 (appendix C):
 *
 *   alpha = r'r / p'Ap,  x += alpha p,  r -= alpha Ap,  p = r + (r'r / previous r'r) p,  A = F + damping I
 *
 * The curvature is x'(g - r), since A x = g - r: it takes no further product. Sums are float64 and in the order of the
 * entries, the vectors have the precision of g.
 *
 * @param fisher v -> F v, of the length of g; may keep nothing of what it is given
 * @param options.iterations products, at most: fewer where |r|^2 falls below 1e-10
 * @throws AlignmentError ALIGNMENT_NOT_FINITE when g or a product is not
 */
export async function conjugateGradient<V extends Vector>(
  fisher: (v: V) => Promise<V>,
  g: V,
  { iterations, damping }: { readonly iterations: number; readonly damping: number },
): Promise<Direction<V>> {
  const x = g.slice().fill(0) as V;
  const r = g.slice() as V;
  const p = g.slice() as V;
  let rr = finite(dot(r, r), 'a finite policy gradient');
  let done = 0;
  while (done < iterations && rr >= NO_RESIDUAL) {
    const Fp = await fisher(p);
    const pAp = finite(dot(p, Fp), 'a finite Fisher-vector product') + damping * dot(p, p);
    // F is positive semidefinite: only the rounding of a product that is 0 in truth could end here.
    if (pAp <= 0) break;
    const alpha = rr / pAp;
    for (let i = 0; i < x.length; i++) {
      x[i]! += alpha * p[i]!;
      r[i]! -= alpha * (Fp[i]! + damping * p[i]!);
    }
    const next = dot(r, r);
    const beta = next / rr;
    for (let i = 0; i < p.length; i++) p[i] = r[i]! + beta * p[i]!;
    rr = next;
    done++;
  }
  let curvature = 0;
  for (let i = 0; i < x.length; i++) curvature += x[i]! * (g[i]! - r[i]!);
  return { x, curvature, residual: Math.sqrt(rr), iterations: done };
}

/**
 * sqrt(2 delta / x'Ax), the length of the step along x at which the quadratic model of the KL comes to delta (appendix C).
 * A direction without curvature, that of a gradient of 0, is not followed: 0.
 */
export const stepSize = (delta: number, curvature: number): number =>
  curvature > 0 ? Math.sqrt((2 * delta) / curvature) : 0;

/** A step that was tried. */
export interface Trial {
  /** mean KL(pi_old, pi). */
  readonly kl: number;
  /** S - S_old. */
  readonly improvement: number;
}

export interface LineSearch {
  /** Steps tried. */
  readonly trials: number;
  /** What the accepted step multiplies x by; undefined when none was accepted. */
  readonly accepted?: Trial & { readonly scale: number };
}

/**
 * Tries steps of backtrackCoef^j size, j = 0, 1, ..., and accepts the first with KL <= delta that improves the surrogate
 * (appendix C). A KL or a surrogate that is not a number is accepted by neither condition.
 *
 * @param attempt sets the policy to pi_old plus `scale` x, and measures it
 * @param options.size of the first step; where it is 0, nothing is tried
 */
export async function lineSearch(
  attempt: (scale: number) => Promise<Trial>,
  {
    size,
    delta,
    backtrackCoef,
    backtrackIterations,
  }: {
    readonly size: number;
    readonly delta: number;
    readonly backtrackCoef: number;
    readonly backtrackIterations: number;
  },
): Promise<LineSearch> {
  let scale = size;
  let trials = 0;
  for (; size > 0 && trials < backtrackIterations; scale *= backtrackCoef) {
    const { kl, improvement } = await attempt(scale);
    trials++;
    if (kl <= delta && improvement > 0) return { trials, accepted: { scale, kl, improvement } };
  }
  return { trials };
}

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function finite(value: number, expected: string): number {
  if (Number.isFinite(value)) return value;
  throw new AlignmentError('ALIGNMENT_NOT_FINITE', `expected ${expected}, got ${value}: look at the batch`);
}
