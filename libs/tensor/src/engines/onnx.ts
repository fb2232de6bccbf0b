import { capture } from '../capture/capture.js';
import { checkInputs, checkOutputs, type Engine } from '../engine.js';
import { openWorkspace } from '../workspace.js';
import { openSession, type SessionOptions } from './session.js';

/**
 * Captures programs to ONNX and runs them in the calling thread, which blocks during a run: for threads made for
 * computing. `threads` is ONNX Runtime's own parallelism within an operator; results for small matrices differ in
 * their last bits between thread counts, so what must be the same everywhere runs with the default of one.
 */
export function onnxEngine(options: SessionOptions = {}): Engine {
  const compiler: Pick<Engine, 'compile'> = {
    async compile(program, specs) {
      const { model, inputs, outputs } = capture(program, specs);
      const session = await openSession(model, { inputs, outputs }, options);
      return {
        inputs,
        outputs,
        run: async (buffers, into = {}) => {
          checkInputs(inputs, buffers);
          checkOutputs(outputs, into);
          return session.run(buffers, into);
        },
        dispose: () => session.release(),
      };
    },
  };
  return {
    ...compiler,
    name: 'onnx',
    fidelity: 'bits',
    open: async (state, options) => openWorkspace(compiler, state, options),
    close: async () => {},
  };
}
