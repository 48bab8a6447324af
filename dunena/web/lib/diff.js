// The difference of two texts, line by line (E. Myers, "An O(ND) Difference Algorithm", 1986). A
// comma at the end of a line makes no difference, since JSON has one after all items but the last.

const EDITS_MAX = 600; // of texts that differ in more, all lines between the first and last are other

// Returns [{ kind, lines }] in the order of the texts; kind is "same", "removed" or "added".
export function diff(before, after) {
  const [old, now] = [before, after].map((text) => (text ? text.split("\n") : []));
  const isSame = (x, y) => withoutComma(old[x]) === withoutComma(now[y]);
  const shorter = Math.min(old.length, now.length);
  let head = 0;
  while (head < shorter && isSame(head, head)) head += 1;
  let tail = 0;
  while (tail < shorter - head && isSame(old.length - 1 - tail, now.length - 1 - tail)) tail += 1;
  const ends = [old.length - tail, now.length - tail];
  const runs = [];
  const add = (kind, lines) => lines.length && runs.push({ kind, lines });
  let [x, y] = [0, 0];
  for (const [fromX, fromY, length] of [...common(head, ends, isSame), [...ends, tail]]) {
    add("removed", old.slice(x, fromX));
    add("added", now.slice(y, fromY));
    add("same", now.slice(fromY, fromY + length));
    [x, y] = [fromX + length, fromY + length];
  }
  return runs;
}

function withoutComma(line) {
  return line.endsWith(",") ? line.slice(0, -1) : line;
}

// Returns the runs of equal lines before the common end, as [position in one, in the other, length].
function common(head, [oldEnd, nowEnd], isSame) {
  const [width, height] = [oldEnd - head, nowEnd - head];
  const furthest = new Map([[1, 0]]); // diagonal x - y -> x
  const steps = []; // what `furthest` was before each number of edits
  for (let edits = 0; edits <= EDITS_MAX; edits += 1) {
    steps.push(new Map(furthest));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = isDown(furthest, diagonal, edits)
        ? furthest.get(diagonal + 1)
        : furthest.get(diagonal - 1) + 1;
      while (x < width && x - diagonal < height && isSame(head + x, head + x - diagonal)) x += 1;
      furthest.set(diagonal, x);
      if (x >= width && x - diagonal >= height) return [[0, 0, head], ...path(steps, width, height, head)];
    }
  }
  return [[0, 0, head]];
}

function isDown(furthest, diagonal, edits) {
  return diagonal === -edits
    || (diagonal !== edits && furthest.get(diagonal - 1) < furthest.get(diagonal + 1));
}

function path(steps, width, height, head) {
  const found = [];
  let [x, y] = [width, height];
  for (let edits = steps.length - 1; edits >= 0; edits -= 1) {
    const diagonal = x - y;
    const isFromAbove = isDown(steps[edits], diagonal, edits);
    const fromX = edits ? steps[edits].get(diagonal + (isFromAbove ? 1 : -1)) : 0;
    const startX = edits && !isFromAbove ? fromX + 1 : fromX;
    if (x > startX) found.unshift([head + startX, head + startX - diagonal, x - startX]);
    [x, y] = [fromX, fromX - diagonal - (edits ? (isFromAbove ? 1 : -1) : 0)];
  }
  return found;
}
