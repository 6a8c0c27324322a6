import { Type } from "@sinclair/typebox";
import { isIP } from "node:net";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import { querySntp, type SntpReply } from "./sntp.ts";

const stratum = gauge("node_ntp_stratum", "NTPD stratum.");
const leap = gauge("node_ntp_leap", "NTPD leap second indicator, 2 bits.");
const roundTrip = gauge("node_ntp_rtt_seconds", "RTT to NTPD.");
const offset = gauge("node_ntp_offset_seconds", "ClockOffset between NTP and local clock.");
const referenceTime = gauge("node_ntp_reference_timestamp_seconds", "NTPD ReferenceTime, UNIX timestamp.");
const rootDelay = gauge("node_ntp_root_delay_seconds", "NTPD RootDelay.");
const rootDispersion = gauge("node_ntp_root_dispersion_seconds", "NTPD RootDispersion.");
const sanity = gauge("node_ntp_sanity", "NTPD sanity according to RFC5905 heuristics and configured limits.");

const timeoutSeconds = 1;
const daySeconds = 86_400;

const flag = (name: string, description: string) => ({ flag: `collector.ntp.${name}`, description });

export const ntp = defineCollector({
  name: "ntp",
  description: "Asks the local NTP server for its time and judges the answer.",
  enabledByDefault: false,
  options: Type.Object(
    {
      server: Type.String({ default: "127.0.0.1", ...flag("server", "Address of the NTP server on this host.") }),
      server_port: Type.Integer({ default: 123, minimum: 1, maximum: 65_535, ...flag("server-port", "Its UDP port.") }),
      protocol_version: Type.Integer({
        default: 4,
        minimum: 2,
        maximum: 4,
        ...flag("protocol-version", "Version of NTP to speak."),
      }),
      server_is_local: Type.Boolean({
        default: false,
        ...flag(
          "server-is-local",
          "Confirms that server is not a public NTP server though its address is not a loopback one.",
        ),
      }),
      ip_ttl: Type.Integer({
        default: 1,
        minimum: 1,
        maximum: 255,
        ...flag("ip-ttl", "Hops that a question may take."),
      }),
      max_distance_seconds: Type.Number({
        default: 3.46608,
        minimum: 0,
        duration: true,
        ...flag("max-distance", "Distance to the reference clock that is still sane."),
      }),
      local_offset_tolerance_seconds: Type.Number({
        default: 0.001,
        minimum: 0,
        duration: true,
        ...flag("local-offset-tolerance", "Offset between the local clock and the local server that is still sane."),
      }),
    },
    { additionalProperties: false },
  ),
  create: (options) => {
    if (!options.server_is_local && !isLoopback(options.server)) {
      throw new Error(
        "--collector.ntp.server has to be a loopback address unless --collector.ntp.server-is-local is set",
      );
    }
    const limits = {
      maxDistance: options.max_distance_seconds,
      tolerance: options.local_offset_tolerance_seconds,
    };
    // The server stops announcing a leap second at the very moment that its smearing is still to be borne with.
    let leapMidnight = 0;
    return {
      collect: async (_host, signal): Promise<MetricFamily[]> => {
        const reply = await querySntp(
          {
            server: options.server,
            port: options.server_port,
            version: options.protocol_version,
            ttl: options.ip_ttl,
            timeoutSeconds,
          },
          signal,
        );
        const { transmitTime } = reply;
        if (reply.leap === 1 || reply.leap === 2)
          leapMidnight = (Math.floor(transmitTime / daySeconds) + 1) * daySeconds;
        const smeared = Math.abs(transmitTime - leapMidnight) < daySeconds;
        return toFamilies(reply, isSane(reply, { ...limits, tolerance: limits.tolerance + Number(smeared) }));
      },
    };
  },
});

export function isLoopback(address: string): boolean {
  return isIP(address) === 4 ? address.startsWith("127.") : address === "::1";
}

/** RFC 5905, appendix A.5.5.3 and others: not told to go away, synchronised, fresh, near enough. */
export function isSane(
  reply: SntpReply,
  limits: { readonly maxDistance: number; readonly tolerance: number },
): boolean {
  const age = reply.transmitTime - reply.referenceTime;
  const maxPollInterval = 2 ** 17;
  const maxDispersion = 16;
  return (
    reply.stratum > 0 &&
    reply.stratum < 16 &&
    reply.leap !== 3 &&
    age >= 0 &&
    age <= maxPollInterval &&
    reply.rootDispersion + reply.rootDelay / 2 <= maxDispersion &&
    reply.rootDistance <= limits.maxDistance &&
    reply.minimumError <= limits.tolerance
  );
}

function toFamilies(reply: SntpReply, sane: boolean): MetricFamily[] {
  const families = createFamilySet();
  families.add(stratum, {}, reply.stratum);
  families.add(leap, {}, reply.leap);
  families.add(roundTrip, {}, reply.roundTrip);
  families.add(offset, {}, reply.offset);
  families.add(referenceTime, {}, Math.max(0, reply.referenceTime));
  families.add(rootDelay, {}, reply.rootDelay);
  families.add(rootDispersion, {}, reply.rootDispersion);
  families.add(sanity, {}, Number(sane));
  return families.list();
}
