// A chart of the events per second in the last minute, as bars on a canvas, the newest on the
// right.

const SECONDS = 60;
const MARGIN_PX = 4;
const LABEL_PX = 34;
const STEPS = [1, 2, 5];

export class RateChart {
  #canvas;
  #counts = new Array(SECONDS + 1).fill(0); // the last one is for the present second
  #second = Math.floor(Date.now() / 1000);

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  add() {
    this.#advance();
    this.#counts[SECONDS] += 1;
  }

  // Returns the rate of the last whole second and the highest one.
  get rates() {
    this.#advance();
    const whole = this.#counts.slice(0, SECONDS);
    return { now: whole[SECONDS - 1], peak: Math.max(...whole) };
  }

  #advance() {
    const second = Math.floor(Date.now() / 1000);
    const passed = Math.min(second - this.#second, SECONDS + 1);
    this.#second = second;
    for (let step = 0; step < passed; step += 1) {
      this.#counts.shift();
      this.#counts.push(0);
    }
  }

  draw() {
    const { peak } = this.rates;
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width) return; // the canvas is not visible
    this.#canvas.width = width * scale;
    this.#canvas.height = height * scale;
    const context = this.#canvas.getContext("2d");
    const colours = getComputedStyle(this.#canvas);
    const colour = (name) => colours.getPropertyValue(name).trim();
    context.scale(scale, scale);
    context.font = `11px ${colours.fontFamily}`;
    context.textBaseline = "middle";
    const top = niceAbove(peak);
    const floor = height - MARGIN_PX;
    const tall = floor - 3 * MARGIN_PX;
    for (const mark of [0, top / 2, top]) {
      const y = Math.round(floor - tall * mark / top) - 0.5;
      context.fillStyle = colour("--line");
      context.fillRect(LABEL_PX, y, width - LABEL_PX, 1);
      context.fillStyle = colour("--quiet");
      context.textAlign = "right";
      if (Number.isInteger(mark)) context.fillText(short(mark), LABEL_PX - 6, y);
    }
    const wide = (width - LABEL_PX) / SECONDS;
    context.fillStyle = colour("--accent");
    this.#counts.slice(0, SECONDS).forEach((value, index) => {
      const bar = value ? Math.max(2, tall * value / top) : 0;
      context.fillRect(LABEL_PX + index * wide + 1, floor - bar, Math.max(1, wide - 2), bar);
    });
  }
}

// Returns the least of 2, 5, 10, 20, 50 ... that is at least `value`.
function niceAbove(value) {
  for (let power = 1; ; power *= 10) {
    for (const step of STEPS) {
      if (step * power >= Math.max(2, value)) return step * power;
    }
  }
}

function short(number) {
  return number >= 1000 ? `${number / 1000}k` : String(number);
}
