import { expect, test } from 'vitest';
import { expectClose, golden } from './golden.test.support.js';
import { learningRateAt, type ScheduleType } from './schedules.js';

interface Case {
  name: string;
  params: {
    kind: ScheduleType;
    base_lr: number;
    num_warmup_steps: number;
    num_training_steps: number;
    min_lr_rate?: number;
  };
  expected: { lr_at_step: number[] };
}

test.each(golden<Case>('lr_schedules.json'))('golden $name', ({ params, expected }) => {
  const rates = expected.lr_at_step.map((_, step) =>
    learningRateAt(step, {
      type: params.kind,
      learningRate: params.base_lr,
      warmupSteps: params.num_warmup_steps,
      trainingSteps: params.num_training_steps,
      minLrRate: params.min_lr_rate,
    }),
  );
  expectClose(rates, expected.lr_at_step, 1e-12);
});

test('a negative step is refused', () => {
  const schedule = { type: 'linear', learningRate: 1, warmupSteps: 0, trainingSteps: 10 } as const;
  expect(() => learningRateAt(-1, schedule)).toThrow('>= 0');
});
