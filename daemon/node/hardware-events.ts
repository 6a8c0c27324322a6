import type { Database } from "bun:sqlite";
import type { EventStorage, HardwareEvent } from "../../collectors/events.ts";

/** Hardware events and the small texts of collectors, in the node's database. */
export function hardwareEventStore(database: Database): EventStorage {
  return {
    loadEvents: () => {
      const events = database
        .query<{ event: string }, []>("SELECT event FROM hardware_events ORDER BY id")
        .all()
        .map(({ event }) => JSON.parse(event) as HardwareEvent);
      const texts = database.query<{ name: string; text: string }, []>("SELECT name, text FROM collector_texts").all();
      return { events, texts: new Map(texts.map(({ name, text }) => [name, text])) };
    },
    saveEvents: (events, texts, keep) => {
      const putEvent = database.query("INSERT OR IGNORE INTO hardware_events (key, event) VALUES (?, ?)");
      const putText = database.query("INSERT OR REPLACE INTO collector_texts (name, text) VALUES (?, ?)");
      const drop = database.query(
        "DELETE FROM hardware_events WHERE id <= (SELECT id FROM hardware_events ORDER BY id DESC LIMIT 1 OFFSET ?)",
      );
      // As for results: losing the last seconds to a power cut is cheaper than a wait for a sick disk.
      database.run("PRAGMA synchronous = NORMAL");
      try {
        database
          .transaction(() => {
            for (const event of events) putEvent.run(event.key, JSON.stringify(event));
            for (const [name, text] of texts) putText.run(name, text);
            drop.run(keep);
          })
          .immediate();
      } finally {
        database.run("PRAGMA synchronous = FULL");
      }
    },
    forgetEvents: () => {
      database
        .transaction(() => {
          for (const table of ["hardware_events", "collector_texts"]) database.run(`DELETE FROM ${table}`);
        })
        .immediate();
    },
  };
}
