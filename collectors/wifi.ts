import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import { openNl80211 } from "./nl80211.ts";
import { openWifiFixtures } from "./wifi-fixtures.ts";

export interface WifiInterface {
  readonly index: number;
  readonly name: string;
  readonly frequencyMegahertz: number;
}

export interface WifiAccessPoint {
  readonly bssid: string;
  readonly ssid: string;
  /** enum nl80211_bss_status: 0 authenticated, 1 associated, 2 joined an ad-hoc network. */
  readonly status: number;
}

export interface WifiStation {
  readonly macAddress: string;
  readonly connectedSeconds: number | undefined;
  readonly inactiveSeconds: number | undefined;
  readonly receiveBitsPerSecond: number | undefined;
  readonly transmitBitsPerSecond: number | undefined;
  readonly receivedBytes: number | undefined;
  readonly transmittedBytes: number | undefined;
  readonly receivedPackets: number | undefined;
  readonly transmittedPackets: number | undefined;
  readonly signalDbm: number | undefined;
  readonly transmitRetries: number | undefined;
  readonly transmitFailed: number | undefined;
  readonly beaconLoss: number | undefined;
}

/** Where the readings come from: the kernel, or files that stand for it in a test. */
export interface WifiSource {
  interfaces(): WifiInterface[];
  /** Undefined for an interface that belongs to none. */
  accessPoint(of: WifiInterface): WifiAccessPoint | undefined;
  stations(of: WifiInterface): WifiStation[];
}

const frequency = gauge(
  "node_wifi_interface_frequency_hertz",
  "The current frequency a WiFi interface is operating at, in hertz.",
);
const info = gauge(
  "node_wifi_station_info",
  "Labeled WiFi interface station information as provided by the operating system.",
);
const ofStation: readonly (readonly [family: FamilyHead, key: Exclude<keyof WifiStation, "macAddress">])[] = [
  [
    counter(
      "node_wifi_station_connected_seconds_total",
      "The total number of seconds a station has been connected to an access point.",
    ),
    "connectedSeconds",
  ],
  [
    gauge(
      "node_wifi_station_inactive_seconds",
      "The number of seconds since any wireless activity has occurred on a station.",
    ),
    "inactiveSeconds",
  ],
  [
    gauge(
      "node_wifi_station_receive_bits_per_second",
      "The current WiFi receive bitrate of a station, in bits per second.",
    ),
    "receiveBitsPerSecond",
  ],
  [
    gauge(
      "node_wifi_station_transmit_bits_per_second",
      "The current WiFi transmit bitrate of a station, in bits per second.",
    ),
    "transmitBitsPerSecond",
  ],
  [
    counter("node_wifi_station_receive_bytes_total", "The total number of bytes received by a WiFi station."),
    "receivedBytes",
  ],
  [
    counter("node_wifi_station_transmit_bytes_total", "The total number of bytes transmitted by a WiFi station."),
    "transmittedBytes",
  ],
  [
    gauge("node_wifi_station_signal_dbm", "The current WiFi signal strength, in decibel-milliwatts (dBm)."),
    "signalDbm",
  ],
  [
    counter(
      "node_wifi_station_transmit_retries_total",
      "The total number of times a station has had to retry while sending a packet.",
    ),
    "transmitRetries",
  ],
  [
    counter(
      "node_wifi_station_transmit_failed_total",
      "The total number of times a station has failed to send a packet.",
    ),
    "transmitFailed",
  ],
  [
    counter("node_wifi_station_beacon_loss_total", "The total number of times a station has detected a beacon loss."),
    "beaconLoss",
  ],
  [
    counter("node_wifi_station_transmitted_packets_total", "The total number of packets transmitted by a station."),
    "transmittedPackets",
  ],
  [
    counter("node_wifi_station_received_packets_total", "The total number of packets received by a station."),
    "receivedPackets",
  ],
];

export const wifi = defineCollector({
  name: "wifi",
  description: "Wireless interfaces and stations, asked of the kernel over nl80211.",
  enabledByDefault: false,
  options: Type.Object(
    {
      fixtures: Type.String({
        default: "",
        flag: "collector.wifi.fixtures",
        path: true,
        hidden: true,
        description: "Folder of JSON files to read instead of asking the kernel, for tests.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ fixtures }) => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const source = fixtures === "" ? openNl80211() : openWifiFixtures(fixtures);
      if (source === undefined) throw new NoDataError("no wireless networking in this kernel");
      const families = createFamilySet();
      for (const found of source.interfaces()) {
        // Some virtual devices have no name.
        if (found.name === "") continue;
        try {
          addInterface(families, found, source);
        } catch (error) {
          host.skipped(`wifi interface ${found.name}`, error);
        }
      }
      return families.list();
    },
  }),
});

function addInterface(families: FamilySet, found: WifiInterface, source: WifiSource): void {
  const device = found.name;
  families.add(frequency, { device }, found.frequencyMegahertz * 1e6);
  const accessPoint = source.accessPoint(found);
  if (accessPoint !== undefined) {
    const { bssid, ssid, status } = accessPoint;
    families.add(info, { device, bssid, ssid, mode: toMode(status) }, 1);
  }
  for (const station of source.stations(found)) {
    const labels = { device, mac_address: station.macAddress };
    for (const [family, key] of ofStation) families.add(family, labels, station[key]);
  }
}

function toMode(status: number): string {
  if (status === 2) return "ad-hoc";
  return status === 0 || status === 1 ? "client" : "unknown";
}
