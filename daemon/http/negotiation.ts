/** What a scraper's headers and query ask for, read as node_exporter's libraries read them. */

const escapings = /escaping=(allow-utf-8|underscores|dots|values)\b/;

/** Prometheus 3 says how it wants names outside of [a-zA-Z0-9_:] written; there are none on this page. */
export function contentType(accept: string | null): string {
  return `text/plain; version=0.0.4; charset=utf-8; escaping=${escapings.exec(accept ?? "")?.[1] ?? "underscores"}`;
}

/** By the weights of the header, plain text first: "gzip" and "gzip;q=0.5, *;q=0.1" ask for it, "gzip, *" does not. */
export function acceptsGzip(header: string | null): boolean {
  if (header === null) return false;
  let [gzip, identity] = [0, 0];
  for (const part of header.toLowerCase().split(",")) {
    const [coding, ...parameters] = part.split(";").map((word) => word.trim());
    const weight = Number(parameters.find((word) => word.startsWith("q="))?.slice(2) ?? 1) || 0;
    if (coding === "gzip" || coding === "*") gzip = Math.max(gzip, weight);
    if (coding === "identity" || coding === "*") identity = Math.max(identity, weight);
  }
  return gzip > identity;
}

/** Go drops a parameter with a semicolon or a broken escape, and takes the others. */
export function parseQuery(query: string): URLSearchParams {
  const isOdd = /;|%(?![0-9a-f]{2})/i;
  const kept = isOdd.test(query) ? query.split("&").filter((parameter) => !isOdd.test(parameter)) : [query];
  return new URLSearchParams(kept.join("&"));
}
