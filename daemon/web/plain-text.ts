/** An answer in words, with the headers of Go's http.Error: no browser may take it for something else. */
export function plainText(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response {
  const own = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
  return new Response(body, { status, headers: { ...own, ...headers } });
}
