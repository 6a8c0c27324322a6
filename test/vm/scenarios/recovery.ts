import type { Scenario } from "../scenario.ts";

/** What the faults of the other scenarios leave behind: for a while a warning, then nothing. */
export const recovery: Scenario = async ({ machine, node, check }) => {
  await check("a day after the faults nothing is wrong any more", async () => {
    await machine.run("date -s '+25 hours'");
    await node.waitForStatus(0, [/: ok, 0 of \d+ checks not ok$/m]);
  });
};
