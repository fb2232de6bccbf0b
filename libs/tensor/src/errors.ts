export type TensorErrorCode =
  | 'TENSOR_UNSUPPORTED_OP'
  | 'TENSOR_UNSUPPORTED_DTYPE'
  | 'TENSOR_VALUE_DURING_CAPTURE'
  | 'TENSOR_BAD_INPUT'
  | 'TENSOR_BAD_OUTPUT'
  | 'TENSOR_UNKNOWN_PROGRAM'
  | 'TENSOR_ENGINE_CLOSED'
  | 'TENSOR_ENGINE_UNAVAILABLE'
  | 'TENSOR_DEVICE_UNAVAILABLE';

/** A program cannot be captured, its buffers do not fit, or there is no device to run it on. */
export class TensorError extends Error {
  override readonly name = 'TensorError';
  readonly code: TensorErrorCode;

  constructor(code: TensorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
