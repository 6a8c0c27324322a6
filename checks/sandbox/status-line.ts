/** What comes over the status pipe: bubblewrap's own JSON lines, and those of `aami check exec` before it. */
export type StatusLine =
  | { readonly kind: "pid_one"; readonly pid: number }
  | { readonly kind: "exit_code"; readonly code: number }
  | { readonly kind: "note"; readonly text: string };

/** Complete lines only; a line that is none of ours is left out. */
export function parseStatus(text: string): StatusLine[] {
  return text
    .split("\n")
    .slice(0, -1)
    .flatMap((line): StatusLine[] => {
      const fields = parseFields(line);
      if (typeof fields["child-pid"] === "number") return [{ kind: "pid_one", pid: fields["child-pid"] }];
      if (typeof fields["exit-code"] === "number") return [{ kind: "exit_code", code: fields["exit-code"] }];
      if (typeof fields["aami-note"] === "string") return [{ kind: "note", text: fields["aami-note"] }];
      return [];
    });
}

function parseFields(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === "object" ? { ...value } : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
