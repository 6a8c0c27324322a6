import type { Exporter } from "../../protocol/registration.ts";
import { compact } from "../store/rows.ts";
import type { TargetExporter } from "../store/targets.ts";

export function toExporters(exporters: readonly Exporter[]): TargetExporter[] {
  return exporters.map((exporter) =>
    compact<TargetExporter>({
      id: Bun.randomUUIDv7(),
      type: exporter.type,
      port: exporter.port,
      enabled: exporter.enabled ?? true,
      scheme: exporter.scheme ?? "http",
      metrics_path: exporter.metrics_path ?? "/metrics",
      scrape_interval: exporter.scrape_interval,
      scrape_timeout: exporter.scrape_timeout,
      config: exporter.config ?? {},
    }),
  );
}
