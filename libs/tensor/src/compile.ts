/** Programs without state, over workspaces. */
import { checkOutputs, type Engine, type Frozen, type Specs } from './engine.js';
import type { HostWorkspace } from './workspace/workspace.js';

const PROGRAM = 'program';

export const compileOver =
  (open: (state: Specs, options?: { readonly frozen?: Frozen }) => HostWorkspace): Engine['compile'] =>
  async (program, inputs) => {
    const space = open({});
    await space.add({
      [PROGRAM]: { inputs, reads: [], run: (_, tensors) => ({ outputs: program({ ...tensors }) }) },
    });
    const outputs = Object.fromEntries(space.effectsOf(PROGRAM).map(({ name, spec }) => [name, spec]));
    return {
      inputs,
      outputs,
      async run(feeds, into = {}) {
        checkOutputs(outputs, into);
        const results = await space.run(PROGRAM, feeds);
        return Object.fromEntries(
          Object.entries(results).map(([name, buffer]) => {
            into[name]?.set(buffer);
            return [name, into[name] ?? buffer];
          }),
        );
      },
      dispose: () => space.dispose(),
    };
  };
