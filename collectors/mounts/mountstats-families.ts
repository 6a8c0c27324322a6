import type { MetricType, Sample } from "../collector.ts";
import type { NfsMount } from "./mountstats-parse.ts";

interface Common {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
}

/** One `node_mountstats_nfs_*` family; `read` gives the series of one mount less the labels that all of them have. */
export type MountStatsFamily = Common &
  (
    | { readonly source: "mountpoint" }
    | { readonly source: "statistics"; readonly read: (mount: NfsMount) => readonly Sample[] }
  );

// Idle and waiting times may count down below zero and come as unsigned 64 bits; node_exporter takes them modulo 2^53.
const mantissa = 2n ** 53n;
const modulo = (text: string): number => Number(BigInt(text) % mantissa);

function ofMount(name: string, help: string, pick: (mount: NfsMount) => string | undefined): MountStatsFamily {
  return {
    name,
    help,
    type: "counter",
    source: "statistics",
    read: (mount) => [{ labels: {}, value: Number(pick(mount) ?? 0) }],
  };
}

function ofTransport(name: string, type: MetricType, help: string, field: number): MountStatsFamily {
  const convert = name.endsWith("_seconds") ? modulo : Number;
  const read = (mount: NfsMount): Sample[] =>
    mount.transports.map(({ fields }, transport) => ({
      labels: { transport: String(transport) },
      value: convert(fields[field] ?? "0"),
    }));
  return { name, help, type, source: "statistics", read };
}

function ofOperation(name: string, help: string, field: number): MountStatsFamily {
  // The kernel counts milliseconds.
  const convert = name.endsWith("_seconds_total") ? (text: string) => modulo(text) / 1000 : Number;
  const read = (mount: NfsMount): Sample[] =>
    mount.operations.map((operation) => ({
      labels: { operation: operation.name },
      value: convert(operation.counters[field] ?? "0"),
    }));
  return { name, help, type: "counter", source: "statistics", read };
}

/** Numbers are positions in the kernel's lines; event 18 (congestion wait) is not published. Help texts are node_exporter's. */
export const families: readonly MountStatsFamily[] = [
  ofMount("age_seconds_total", "The age of the NFS mount in seconds.", (mount) => mount.age),
  { name: "mountpoint_info", help: "Info metric for an NFS mountpoint.", type: "gauge", source: "mountpoint" },
  ofMount("read_bytes_total", "Number of bytes read using the read() syscall.", (mount) => mount.bytes[0]),
  ofMount("write_bytes_total", "Number of bytes written using the write() syscall.", (mount) => mount.bytes[1]),
  ofMount(
    "direct_read_bytes_total",
    "Number of bytes read using the read() syscall in O_DIRECT mode.",
    (mount) => mount.bytes[2],
  ),
  ofMount(
    "direct_write_bytes_total",
    "Number of bytes written using the write() syscall in O_DIRECT mode.",
    (mount) => mount.bytes[3],
  ),
  ofMount("total_read_bytes_total", "Number of bytes read from the NFS server, in total.", (mount) => mount.bytes[4]),
  ofMount("total_write_bytes_total", "Number of bytes written to the NFS server, in total.", (mount) => mount.bytes[5]),
  ofMount("read_pages_total", "Number of pages read directly via mmap()'d files.", (mount) => mount.bytes[6]),
  ofMount("write_pages_total", "Number of pages written directly via mmap()'d files.", (mount) => mount.bytes[7]),
  ofTransport(
    "transport_bind_total",
    "counter",
    "Number of times the client has had to establish a connection from scratch to the NFS server.",
    1,
  ),
  ofTransport(
    "transport_connect_total",
    "counter",
    "Number of times the client has made a TCP connection to the NFS server.",
    2,
  ),
  ofTransport(
    "transport_idle_time_seconds",
    "gauge",
    "Duration since the NFS mount last saw any RPC traffic, in seconds.",
    4,
  ),
  ofTransport("transport_sends_total", "counter", "Number of RPC requests for this mount sent to the NFS server.", 5),
  ofTransport(
    "transport_receives_total",
    "counter",
    "Number of RPC responses for this mount received from the NFS server.",
    6,
  ),
  ofTransport(
    "transport_bad_transaction_ids_total",
    "counter",
    "Number of times the NFS server sent a response with a transaction ID unknown to this client.",
    7,
  ),
  ofTransport("transport_backlog_queue_total", "counter", "Total number of items added to the RPC backlog queue.", 9),
  ofTransport(
    "transport_maximum_rpc_slots",
    "gauge",
    "Maximum number of simultaneously active RPC requests ever used.",
    10,
  ),
  ofTransport(
    "transport_sending_queue_total",
    "counter",
    "Total number of items added to the RPC transmission sending queue.",
    11,
  ),
  ofTransport(
    "transport_pending_queue_total",
    "counter",
    "Total number of items added to the RPC transmission pending queue.",
    12,
  ),
  ofOperation("operations_requests_total", "Number of requests performed for a given operation.", 0),
  ofOperation(
    "operations_transmissions_total",
    "Number of times an actual RPC request has been transmitted for a given operation.",
    1,
  ),
  ofOperation(
    "operations_major_timeouts_total",
    "Number of times a request has had a major timeout for a given operation.",
    2,
  ),
  ofOperation(
    "operations_sent_bytes_total",
    "Number of bytes sent for a given operation, including RPC headers and payload.",
    3,
  ),
  ofOperation(
    "operations_received_bytes_total",
    "Number of bytes received for a given operation, including RPC headers and payload.",
    4,
  ),
  ofOperation(
    "operations_queue_time_seconds_total",
    "Duration all requests spent queued for transmission for a given operation before they were sent, in seconds.",
    5,
  ),
  ofOperation(
    "operations_response_time_seconds_total",
    "Duration all requests took to get a reply back after a request for a given operation was transmitted, in seconds.",
    6,
  ),
  ofOperation(
    "operations_request_time_seconds_total",
    "Duration all requests took from when a request was enqueued to when it was completely handled for a given operation, in seconds.",
    7,
  ),
  ofMount(
    "event_inode_revalidate_total",
    "Number of times cached inode attributes are re-validated from the server.",
    (mount) => mount.events[0],
  ),
  ofMount(
    "event_dnode_revalidate_total",
    "Number of times cached dentry nodes are re-validated from the server.",
    (mount) => mount.events[1],
  ),
  ofMount("event_data_invalidate_total", "Number of times an inode cache is cleared.", (mount) => mount.events[2]),
  ofMount(
    "event_attribute_invalidate_total",
    "Number of times cached inode attributes are invalidated.",
    (mount) => mount.events[3],
  ),
  ofMount(
    "event_vfs_open_total",
    "Number of times cached inode attributes are invalidated.",
    (mount) => mount.events[4],
  ),
  ofMount("event_vfs_lookup_total", "Number of times a directory lookup has occurred.", (mount) => mount.events[5]),
  ofMount("event_vfs_access_total", "Number of times permissions have been checked.", (mount) => mount.events[6]),
  ofMount(
    "event_vfs_update_page_total",
    "Number of updates (and potential writes) to pages.",
    (mount) => mount.events[7],
  ),
  ofMount("event_vfs_read_page_total", "Number of pages read directly via mmap()'d files.", (mount) => mount.events[8]),
  ofMount("event_vfs_read_pages_total", "Number of times a group of pages have been read.", (mount) => mount.events[9]),
  ofMount(
    "event_vfs_write_page_total",
    "Number of pages written directly via mmap()'d files.",
    (mount) => mount.events[10],
  ),
  ofMount(
    "event_vfs_write_pages_total",
    "Number of times a group of pages have been written.",
    (mount) => mount.events[11],
  ),
  ofMount(
    "event_vfs_getdents_total",
    "Number of times directory entries have been read with getdents().",
    (mount) => mount.events[12],
  ),
  ofMount(
    "event_vfs_setattr_total",
    "Number of times directory entries have been read with getdents().",
    (mount) => mount.events[13],
  ),
  ofMount(
    "event_vfs_flush_total",
    "Number of pending writes that have been forcefully flushed to the server.",
    (mount) => mount.events[14],
  ),
  ofMount(
    "event_vfs_fsync_total",
    "Number of times fsync() has been called on directories and files.",
    (mount) => mount.events[15],
  ),
  ofMount("event_vfs_lock_total", "Number of times locking has been attempted on a file.", (mount) => mount.events[16]),
  ofMount(
    "event_vfs_file_release_total",
    "Number of times files have been closed and released.",
    (mount) => mount.events[17],
  ),
  ofMount("event_truncation_total", "Number of times files have been truncated.", (mount) => mount.events[19]),
  ofMount(
    "event_write_extension_total",
    "Number of times a file has been grown due to writes beyond its existing end.",
    (mount) => mount.events[20],
  ),
  ofMount(
    "event_silly_rename_total",
    "Number of times a file was removed while still open by another process.",
    (mount) => mount.events[21],
  ),
  ofMount(
    "event_short_read_total",
    "Number of times the NFS server gave less data than expected while reading.",
    (mount) => mount.events[22],
  ),
  ofMount(
    "event_short_write_total",
    "Number of times the NFS server wrote less data than expected while writing.",
    (mount) => mount.events[23],
  ),
  ofMount(
    "event_jukebox_delay_total",
    "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage.",
    (mount) => mount.events[24],
  ),
  ofMount("event_pnfs_read_total", "Number of NFS v4.1+ pNFS reads.", (mount) => mount.events[25]),
  ofMount("event_pnfs_write_total", "Number of NFS v4.1+ pNFS writes.", (mount) => mount.events[26]),
];
