/** Whether a Content-Type declares JSON: application/json, or a type that ends in +json. */
export const isJson = (contentType: string | null | undefined): boolean =>
  /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType ?? '');
