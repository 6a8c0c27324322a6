import { expect, test } from "bun:test";
import { acceptsGzip, contentType, parseQuery } from "../../../daemon/http/negotiation.ts";

// The table of client_golang's NegotiateContentEncoding, with identity offered before gzip.
test.each([
  [null, false],
  ["", false],
  ["gzip", true],
  ["GZIP", true],
  ["x-gzip", false],
  ["deflate, gzip, br, zstd", true],
  ["zstd,gzip;q=0.1", true],
  ["gzip;q=0", false],
  ["gzip;q=0.000", false],
  ["gzip; q=0.5", true],
  ["gzip;q=nonsense", false],
  ["identity", false],
  ["identity, gzip", false],
  ["identity, gzip;q=0.1", false],
  ["identity;q=0.1, gzip", true],
  ["*", false],
  ["gzip, *", false],
  ["gzip, *;q=0.1", true],
])("Accept-Encoding: %s", (header, expected) => {
  expect(acceptsGzip(header)).toBe(expected);
});

test.each([
  [null, "underscores"],
  ["*/*", "underscores"],
  ["text/plain;version=0.0.4;escaping=dots", "dots"],
  ["text/plain;version=0.0.4;escaping=values, */*;q=0.1", "values"],
  ["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4", "allow-utf-8"],
  ["text/plain;escaping=nonsense", "underscores"],
])("Accept: %s", (header, escaping) => {
  expect(contentType(header)).toBe(`text/plain; version=0.0.4; charset=utf-8; escaping=${escaping}`);
});

test.each([
  ["collect[]=cpu&collect%5B%5D=loadavg", ["cpu", "loadavg"]],
  ["collect[]=a;b&collect[]=cpu", ["cpu"]],
  ["collect[]=lo%zzad&collect[]=cpu%", []],
  ["collect[]=a%20b+c", ["a b c"]],
])("query %s", (query, expected) => {
  expect(parseQuery(query).getAll("collect[]")).toEqual(expected);
});
