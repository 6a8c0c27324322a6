// The package's entry point loads its cluster, push gateway and default metrics as well, 10 MB of memory that the
// daemon has no use for. The parts it needs are imported from their own files, which have no declarations.
declare module "prom-client/lib/counter.js" {
  export { Counter as default } from "prom-client";
}
declare module "prom-client/lib/gauge.js" {
  export { Gauge as default } from "prom-client";
}
declare module "prom-client/lib/registry.js" {
  export { Registry as default } from "prom-client";
}
