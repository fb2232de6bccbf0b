import type { Build, DataFor } from '@rlhf-streams/events';

/**
 * Whether two builds compute the same bits on the same kind of processor, as far as is known. For a run without a
 * checkpoint the build is the coordinator's, which names no ONNX Runtime because only the optimizer loads one.
 */
export const isSameBuild = (a: Build, b: Build): boolean =>
  a.version === b.version &&
  a.code === b.code &&
  a.platform === b.platform &&
  (a.onnxruntime === undefined || b.onnxruntime === undefined || a.onnxruntime === b.onnxruntime);

/** What there is to say when a run goes on under another build. */
export const buildChangeText = ({
  step,
  from,
  to,
}: Pick<DataFor<'run.build-changed'>, 'step' | 'from' | 'to'>): string =>
  `resumed at step ${step} under another build (${from ? textOf(from) : 'unknown'} → ${textOf(to)}): its bits may differ from an uninterrupted run`;

const textOf = ({ version, code, onnxruntime, platform }: Build): string =>
  [
    code === undefined ? version : `${version}+${code}`,
    ...(onnxruntime === undefined ? [] : [`ONNX Runtime ${onnxruntime}`]),
    platform,
  ].join(', ');
