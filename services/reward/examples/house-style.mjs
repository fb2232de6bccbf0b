/**
 * A module scorer: it is given a batch of { id, prompt, completion, tokens?, messages?, metadata? }, and answers each, in
 * their order, with a number, null (it does not apply), { score, parts }, or { error }.
 */
export default async function score(items, { options }) {
  return items.map(({ prompt, completion }) => {
    if (!prompt.includes('letter')) return null;
    const greets = Number(completion.trimStart().startsWith(options.greeting));
    const signs = Number(/\bRegards\b/.test(completion));
    return { score: (greets + signs) / 2, parts: { greets, signs } };
  });
}
