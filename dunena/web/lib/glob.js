// Patterns as the server has them: * for any run of characters, ? for one, all else for itself.

export function globMatcher(pattern) {
  if (!pattern || pattern === "*") return () => true;
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, "[^]*")
    .replaceAll("?", "[^]");
  const matcher = new RegExp(`^${source}$`, "u");
  return (name) => matcher.test(name);
}
