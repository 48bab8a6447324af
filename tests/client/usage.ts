// What the types must let through, and what they must not: see test_types.py.

import { connect, DunenaError, type CacheEvent, type Status, type Store } from "./dunena.js";

interface Score {
  home: number;
  guest: number;
}

const store: Store = connect("ws://localhost:3000/ws", {
  ns: "game",
  whileAway: "refuse",
  token: "secret",
  onError: (error) => console.log(error.message),
  bind: false,
  format: { minutes: (seconds: number) => `${seconds / 60}`, upper: (text) => text.toUpperCase() },
});
connect();
connect({ bind: document.body });
connect(new URL("http://localhost"), {});
connect(undefined, { ns: "x" });

export async function use(): Promise<number> {
  await store.set("score", { home: 1, guest: 2 }, { ttl: 1000, durable: true, ns: "other" });
  await store.mset({ a: 1, b: [null] });
  const merged = await store.merge<Score>("score", { home: 2 });
  const score = await store.get<Score>("score");
  const many = await store.mget<string>(["a", "b"], { ns: "x" });
  const keys: string[] = await store.keys("a*");
  await store.delete(keys[0] ?? "none");
  const stop: () => void = store.watch<Score>("score", (value) => console.log(value?.home), {
    onError: (error: DunenaError) => console.log(error.message),
  });
  stop();
  store.events((event: CacheEvent) => console.log(event.event, event.data.key));
  store.onStatus((status: Status) => console.log(status))();
  if (store.status === "open" && store.error instanceof DunenaError) store.close();
  return (score?.home ?? 0) + merged.guest + (many["a"]?.length ?? 0);
}

dunena.connect().close();

// @ts-expect-error: status is read
store.status = "open";
// @ts-expect-error: there is no such status
store.onStatus((status: "offline") => console.log(status));
// @ts-expect-error: a value is needed
store.set("k");
// @ts-expect-error: null is possible
export const wrong: Promise<Score> = store.get<Score>("score");
// @ts-expect-error: no such mode
connect({ whileAway: "queue" });
// @ts-expect-error: a time in ms
store.set("k", 1, { ttl: "1s" });
