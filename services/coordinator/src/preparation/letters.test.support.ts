/** A tokenizer for tests: a token a letter, so that lengths can be read. */
import type { Message } from '@rlhf-streams/model';

const letters = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

/** @param renderChat what renders conversations; by default there is no chat template */
export const lettersTokenizer = ({
  end,
  encode = letters,
  begin = [end],
  renderChat,
}: {
  end: number;
  encode?: (text: string) => number[];
  begin?: readonly number[];
  renderChat?: (messages: readonly Message[], options?: { addGenerationPrompt?: boolean }) => string;
}) => ({
  begin,
  encode,
  eosId: end,
  tokenOf: (id: number) => String.fromCharCode(id),
  renderChat:
    renderChat ??
    (() => {
      throw new Error('no conversations here');
    }),
  renderGenerations: () => undefined,
  hasChatTemplate: renderChat !== undefined,
});
