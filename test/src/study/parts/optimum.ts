import { klToOptimum, type TabularTask, tabularMethods } from '@rlhf-streams/alignment/tabular-optimum';
import { philox4x32 } from '@rlhf-streams/random';
import * as tf from '@tensorflow/tfjs';
import type { Part } from '../part.js';

const PROMPTS = 3;
const COMPLETIONS = 12;
const GOAL = 1e-3;

export const optimum: Part = {
  name: 'optimum',
  title: 'The optimum in closed form',
  text: `On a policy small enough to enumerate, the reward less beta times the KL from the reference has its greatest value at pi* = ref exp(r / beta) / Z. Each method, with exact expectations instead of samples, is trained from the reference: KL(pi, pi*) in nats, the largest of ${PROMPTS} prompts with ${COMPLETIONS} completions, is to end below ${GOAL}.`,
  async answer() {
    await tf.setBackend('cpu');
    const task = randomTask();
    const start = Math.max(...klToOptimum(task, tf.tensor2d(task.refLogprobs as number[][])));
    const rows: string[][] = [];
    const missed: string[] = [];
    for (const [name, train] of Object.entries(tabularMethods)) {
      const begun = performance.now();
      const { logits, most } = await train(task);
      // Rounding may leave a KL that is as good as none below 0.
      const reached = Math.max(0, ...klToOptimum(task, logits));
      if (!(reached < GOAL)) missed.push(name);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      rows.push([
        name,
        start.toFixed(3),
        reached.toExponential(1),
        most === undefined ? '' : most.toPrecision(2),
        seconds,
      ]);
    }
    return {
      result:
        missed.length === 0
          ? `All ${rows.length} come to the optimum.`
          : `${missed.join(' and ')} did not come within ${GOAL} of the optimum.`,
      tables: [
        {
          head: ['method', 'KL(pi, pi*) at the start', 'at the end', 'held back by, at most', 'seconds'],
          rows,
        },
      ],
    };
  },
};

/** Rewards and logits of the reference that are normal; the same every time. */
function randomTask(): TabularTask {
  const normal = (index: number, which: number) => {
    const [a, b] = philox4x32([index, which, 0, 0], [7, 0]);
    return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
  };
  const table = (which: number) =>
    Array.from({ length: PROMPTS }, (_, x) =>
      Array.from({ length: COMPLETIONS }, (_, y) => normal(x * COMPLETIONS + y, which)),
    );
  const refLogprobs = table(0).map((row) => {
    const logZ = Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0));
    return row.map((z) => z - logZ);
  });
  return { beta: 0.5, refLogprobs, rewards: table(1) };
}
