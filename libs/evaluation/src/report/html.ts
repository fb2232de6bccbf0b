/** HTML that is escaped unless it was made here: completions are untrusted text. */

/** Markup that is safe to put into a page. */
export interface Html {
  readonly markup: string;
}

type Interpolated = Html | readonly Html[] | string | number | undefined;

/** Template tag: strings and numbers are escaped, other markup is kept, undefined is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Interpolated[]): Html {
  const parts = strings.flatMap((string, i) => [string, i < values.length ? markupOf(values[i]) : '']);
  return { markup: parts.join('') };
}

/** Marks text as markup: only for what this package itself wrote. */
export function trusted(markup: string): Html {
  return { markup };
}

/** JSON for a `<script type="application/json">`: no character in it can end the element or a line of script. */
export function embeddedJson(value: unknown): Html {
  const json = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return { markup: json };
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

function markupOf(value: Interpolated): string {
  if (value === undefined) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  if ('markup' in value) return value.markup;
  return value.map(({ markup }) => markup).join('');
}
