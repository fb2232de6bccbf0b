import { describe } from 'vitest';
import { effectTests } from './effects.js';
import { type ConformanceOptions, harnessOf } from './harness.js';
import { kernelTests } from './kernels.js';
import { orderTests } from './order.js';
import { stateTests } from './state.js';

export type { ConformanceOptions } from './harness.js';
export { sameBitsConformance } from './same-bits.js';

/**
 * What every engine must do, as a vitest suite. Nothing is asked that an engine on a GPU could not do: numbers are whole
 * where they are compared exactly, and within a tolerance elsewhere; only an engine of `fidelity` `bits` has to add
 * calls to the bit.
 */
export function engineConformance(name: string, options: ConformanceOptions): void {
  describe(`conformance of the engine ${name}`, () => {
    const harness = harnessOf(options);
    effectTests(harness);
    stateTests(harness);
    orderTests(harness);
    kernelTests(harness);
  });
}
