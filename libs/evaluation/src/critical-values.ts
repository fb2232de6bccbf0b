/** Critical values of two-sided 95 % intervals. */

/** z with P(|Z| <= z) = 0.95 for a standard normal Z. */
export const NORMAL_CRITICAL = 1.959963984540054;

/**
 * t with P(|T| <= t) = 0.95 for Student's distribution with `df` >= 1 degrees of freedom (need not be whole).
 *
 * Newton's method from the normal's value. The distribution function is concave right of zero, so that the
 * iterates climb to the root and never pass it.
 */
export function studentCritical(df: number): number {
  const density = gammaRatio(df / 2) / Math.sqrt(Math.PI);
  let t = NORMAL_CRITICAL;
  for (let iteration = 0; iteration < 60; iteration++) {
    const slope = (density / Math.sqrt(df)) * (1 + (t * t) / df) ** (-(df + 1) / 2);
    const step = (0.475 - density * cosinePowerIntegral(Math.atan(t / Math.sqrt(df)), df - 1)) / slope;
    t += step;
    if (step < 1e-12 * t) break;
  }
  return t;
}

/** Integral of cos(u)^power over [0, angle] by Simpson's rule: Student's distribution under x = sqrt(df) tan(u). */
function cosinePowerIntegral(angle: number, power: number): number {
  const intervals = 512;
  let sum = 0;
  for (let i = 0; i <= intervals; i++) {
    const sine = Math.sin((angle * i) / intervals);
    const value = Math.exp(0.5 * power * Math.log1p(-sine * sine));
    sum += value * (i === 0 || i === intervals ? 1 : i % 2 === 1 ? 4 : 2);
  }
  return (sum * angle) / (3 * intervals);
}

/** gamma(a + 1/2) / gamma(a), by its asymptotic series where that has converged and by recurrence below. */
function gammaRatio(a: number): number {
  let factor = 1;
  let x = a;
  for (; x < 30; x++) factor *= x / (x + 0.5);
  return factor * Math.sqrt(x) * Math.exp(-1 / (8 * x) + 1 / (192 * x ** 3) - 1 / (640 * x ** 5));
}
