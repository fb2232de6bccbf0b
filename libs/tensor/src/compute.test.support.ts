import type { Buffers, Engine, Specs, Tensors } from './engine.js';

/** What a function of its inputs alone gives on an engine. */
export async function compute(
  engine: Engine,
  program: (inputs: Tensors) => Tensors,
  inputs: Specs,
  feeds: Buffers,
): Promise<Buffers> {
  const space = await engine.open({});
  try {
    await space.add({ program: { inputs, reads: [], run: (_, given) => ({ outputs: program(given) }) } });
    return await space.run('program', feeds);
  } finally {
    await space.dispose();
  }
}
