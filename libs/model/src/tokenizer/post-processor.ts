/** The `post_processor` of a `tokenizer.json`, which puts tokens around a text: read and written. */
import { z } from 'zod';
import { ModelError } from '../errors.js';

/** Token ids before and after a text. */
export interface Frame {
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

/** A token that is put before or after texts. */
export interface FrameToken {
  readonly token: string;
  readonly id: number;
}

const id = z.int().nonnegative();
const tokenAndId = z.tuple([z.string(), id]);
const piece = z.union([
  z.object({ SpecialToken: z.object({ id: z.string() }) }),
  z.object({ Sequence: z.object({ id: z.enum(['A', 'B']) }) }),
]);

const byteLevel = z.looseObject({ type: z.literal('ByteLevel') });
const template = z.looseObject({
  type: z.literal('TemplateProcessing'),
  single: z.array(piece),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(id) })),
});
const bert = z.looseObject({
  type: z.enum(['BertProcessing', 'RobertaProcessing']),
  cls: tokenAndId,
  sep: tokenAndId,
});
const sequence = z.looseObject({
  type: z.literal('Sequence'),
  get processors() {
    return z.array(processor);
  },
});
const processor = z.discriminatedUnion('type', [byteLevel, template, bert, sequence]);
type Processor = z.output<typeof processor>;

const BARE: Frame = { begin: [], end: [] };

/**
 * What stands around a text that is encoded with its special tokens.
 * @param postProcessor `post_processor` of a `tokenizer.json`
 * @throws MODEL_TOKENIZER_INVALID
 */
export function frameOf(postProcessor: unknown): Frame {
  if (postProcessor === undefined || postProcessor === null) return BARE;
  const parsed = processor.safeParse(postProcessor);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error), parsed.error);
  return frame(parsed.data);
}

function frame(processor: Processor): Frame {
  switch (processor.type) {
    case 'ByteLevel':
      return BARE;
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { begin: [processor.cls[1]], end: [processor.sep[1]] };
    case 'Sequence':
      // Each processor frames what those before it made.
      return processor.processors
        .map(frame)
        .reduce(
          (inner, outer) => ({ begin: [...outer.begin, ...inner.begin], end: [...inner.end, ...outer.end] }),
          BARE,
        );
    case 'TemplateProcessing':
      return templateFrame(processor);
  }
}

function templateFrame({ single, special_tokens: tokens }: z.output<typeof template>): Frame {
  const texts = single.flatMap((piece, i) => ('Sequence' in piece ? [i] : []));
  if (texts.length !== 1) throw invalid(`expected one $A in the template of a text, got ${texts.length}`);
  const idsOf = (pieces: typeof single) =>
    pieces.flatMap((piece) => {
      if (!('SpecialToken' in piece)) return [];
      const name = piece.SpecialToken.id;
      const token = tokens[name];
      if (token === undefined)
        throw invalid(`expected ${name} of the template among its special_tokens, it is not`);
      return token.ids;
    });
  return { begin: idsOf(single.slice(0, texts[0])), end: idsOf(single.slice(texts[0]! + 1)) };
}

/** The processor of offsets that byte-level tokenizers have, alone or first in a sequence. */
export function offsetsOf(postProcessor: unknown): object | undefined {
  const parsed = processor.safeParse(postProcessor);
  if (!parsed.success) return undefined;
  const all = parsed.data.type === 'Sequence' ? parsed.data.processors : [parsed.data];
  return all.find(({ type }) => type === 'ByteLevel');
}

/**
 * The `post_processor` that puts these tokens around a text, and around each of a pair.
 * @param offsets a processor of offsets to go before it, as byte-level tokenizers have one
 */
export function framing(begin: readonly FrameToken[], end: readonly FrameToken[], offsets?: object): object {
  const framed = (sequence: 'A' | 'B', type_id: 0 | 1) => [
    ...begin.map(({ token }) => ({ SpecialToken: { id: token, type_id } })),
    { Sequence: { id: sequence, type_id } },
    ...end.map(({ token }) => ({ SpecialToken: { id: token, type_id } })),
  ];
  const special = [...begin, ...end].map(({ token, id }) => [
    token,
    { id: token, ids: [id], tokens: [token] },
  ]);
  const template = {
    type: 'TemplateProcessing',
    single: framed('A', 0),
    pair: [...framed('A', 0), ...framed('B', 1)],
    special_tokens: Object.fromEntries(special),
  };
  return offsets ? { type: 'Sequence', processors: [offsets, template] } : template;
}

const invalid = (problem: string, cause?: unknown) =>
  new ModelError('MODEL_TOKENIZER_INVALID', `tokenizer.json, post_processor: ${problem}`, { cause });
