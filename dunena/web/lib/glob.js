// Patterns as the server has them: * is any run of characters, ? is one character, all others stand
// for themselves.

export function globMatcher(pattern) {
  if (!pattern || pattern === "*") return () => true;
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, "[^]*")
    .replaceAll("?", "[^]");
  const matcher = new RegExp(`^${source}$`, "u");
  return (name) => matcher.test(name);
}
