import { capture } from '../capture/capture.js';
import { checkInputs, checkOutputs, type Engine } from '../engine.js';
import { openSession, type SessionOptions } from './session.js';

/**
 * Captures programs to ONNX and runs them in the calling thread, which blocks during a run: for threads made for
 * computing. `threads` is ONNX Runtime's own parallelism within an operator; results for small matrices differ in
 * their last bits between thread counts, so what must be the same everywhere runs with the default of one.
 */
export function onnxEngine(options: SessionOptions = {}): Engine {
  return {
    name: 'onnx',
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
    close: async () => {},
  };
}
