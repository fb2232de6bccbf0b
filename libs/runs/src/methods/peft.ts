/** Low-rank adapters: the settings of a run that trains one in place of its models' weights, by PEFT's names. */
import { z } from 'zod';
import { named } from '../settings.js';

const modules = z.array(z.string().min(1)).min(1);

/** Fields that are not given stay open: a run that goes on with an adapter has those of the adapter. */
export const peft = z
  .strictObject({
    r: z
      .int()
      .min(1)
      .max(4096)
      .optional()
      .describe("rank of the adapter: rows of A and columns of B; 16 if not given, TRL's default")
      .register(named, { as: ['lora_r', 'rank'] }),
    alpha: z
      .number()
      .positive()
      .optional()
      .describe('B A counts alpha / r times; 2 r if not given, so that the scale is 2 at any rank')
      .register(named, { as: ['lora_alpha'] }),
    dropout: z
      .number()
      .refine((dropout) => dropout === 0, {
        error:
          'expected 0: with dropout the policy that learns is another one than the policy that sampled, and its draws would have to be the same on every worker',
      })
      .default(0)
      .describe(
        'none: what is trained is what was sampled from, and a run that was killed ends in the same bits',
      )
      .register(named, { as: ['lora_dropout'] }),
    targetModules: z
      .union([z.string().min(1), modules])
      .optional()
      .describe(
        'the linear maps that have A and B: names or ends of names, such as [q_proj, v_proj], one regular expression for whole names, or all-linear, which is taken if not given: all of the trunk (Schulman et al. 2025)',
      )
      .register(named, { as: ['lora_target_modules', 'target_modules'] }),
    rslora: z
      .boolean()
      .optional()
      .describe('B A counts alpha / sqrt(r) times (Kalajdzievski 2023); false if not given')
      .register(named, { as: ['use_rslora'] }),
    modulesToSave: z
      .array(z.string().min(1))
      .optional()
      .describe(
        'modules that are learned in full and saved with the adapter, by ends of their names; the head of a reward or value model always is',
      )
      .register(named, { as: ['lora_modules_to_save', 'modules_to_save'] }),
  })
  .optional()
  .describe(
    'trains a low-rank adapter (LoRA, Hu et al. 2021) and leaves the weights of the model as they are: {} takes the defaults. Versions and checkpoints hold the adapter alone, and a run that starts from one (run:ID) goes on with it. Adapters want larger rates than whole models, ten times or so',
  )
  .register(named, { as: ['lora', 'peft_config', 'use_peft'] });
