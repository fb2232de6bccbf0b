import type { Build, DataFor } from '@rlhf-streams/events';

/** A build as people read it. Two that read the same compute the same bits on the same kind of processor. */
export const buildText = ({ version, code, onnxruntime, platform }: Build): string =>
  `${version}${code ? `+${code}` : ''}, ONNX Runtime ${onnxruntime}, ${platform}`;

/** What there is to say when a run goes on under another build. */
export const buildChangeText = ({
  step,
  from,
  to,
}: Pick<DataFor<'run.build-changed'>, 'step' | 'from' | 'to'>): string =>
  `resumed at step ${step} under another build (${from ? buildText(from) : 'unknown'} → ${buildText(to)}): its bits may differ from an uninterrupted run`;
