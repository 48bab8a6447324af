// Returns the name of a browser or library from its User-Agent, without the compatibility tokens.

export function programName(program) {
  const known = ["OBS", "Edg", "Firefox", "Chrome", "Safari"]
    .map((name) => program.match(new RegExp(`${name}/(\\d+)`)))
    .find(Boolean);
  return known ? known[0].replace("/", " ").replace("Edg ", "Edge ") : program.slice(0, 40);
}
