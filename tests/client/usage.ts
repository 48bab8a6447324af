// What the types must let through, and what they must not: see test_types.py.

import { connect, DunenaError, type CacheEvent, type Change, type Status, type Store } from "./dunena.js";

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

export async function change(): Promise<number> {
  const rev: number = await store.set("score", { home: 1 }, { ttl: 8000, then: { home: null }, ifRev: 0 });
  const votes: number = await store.incr("votes", 1, { path: "/ada", min: 0, max: 100 });
  const length: number = await store.append("chat", { text: "hi" }, { max: 50 });
  const isGone: boolean = await store.delete("score", { path: "/home", ifRev: rev });
  const { timer } = await store.timer("clock", "set", { ms: 300_000, rate: -1 });
  const next: Score | null = await store.update<Score>("score", (old) => {
    return old ? { ...old, home: old.home + 1 } : undefined;
  });
  const results = await store.txn([
    { op: "incr", key: "purse", by: -5, min: 0 },
    { op: "patch", key: "list", patch: [] },
    { op: "set", key: "lower", value: 1, ttl: 8000, then: null, ifRev: rev, epoch: "e", durable: true },
    { op: "merge", key: "home", path: "/a", value: {}, return: true },
    { op: "append", key: "chat", values: [1], max: 50 },
    { op: "touch", key: "here", ttl: 0, ns: "lobby" },
    { op: "timer", key: "clock", do: "set", ms: 0, rate: 1 },
    { op: "delete", key: "old" },
    { op: "revert", key: "lower", toRev: rev },
  ], { ns: "x" });
  const [newest] = await store.history<Score>("score", { limit: 1 });
  const back = await store.revert<Score>("score", { toRev: newest?.rev ?? 0 });
  const found = await store.get<Score>("score", { rev: true });
  store.watch<Score>({ key: "score", path: "/home", maxRate: 2 }, (score) => score?.home);
  store.watch<Score>({ keys: ["a", "b"] }, ({ a, b }, changes: Change<Score>[]) => [a, b, changes]);
  store.watch({ pattern: "player-*", ns: "lobby" }, (players) => Object.keys(players))();
  const code = new DunenaError("x").code === "conflict" ? 1 : found.rev;
  return votes + length + timer.ms + (next?.home ?? 0) + back.home + code + store.now() + results.length;
}

export async function meet(): Promise<void> {
  const lobby = connect({
    ns: "lobby",
    session: { timeout: 8000, grace: 5000, name: "Ada", will: [{ op: "set", key: "last", value: "Ada" }] },
  });
  await lobby.present("ada", { name: "Ada", ready: false });
  await lobby.present("ada", null, { ns: "other" });
  await lobby.set("lock", "Ada", { ifRev: 0, ephemeral: true });
  await lobby.txn([{ op: "incr", key: "hands", ephemeral: true }]);
  await lobby.publish("cheer", { by: "Ada" });
  const stop: () => void = lobby.subscribe<{ by: string }>(
    "cheer",
    ({ by }, { missed, timestamp }) => console.log(by, missed + timestamp),
    { onError: (error: DunenaError) => console.log(error.code) },
  );
  stop();
}

dunena.connect().close();

// @ts-expect-error: a time in ms
connect({ session: { grace: "5s" } });
// @ts-expect-error: something to show is needed
store.present("ada");
// @ts-expect-error: something to publish is needed
store.publish("cheer");

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
// @ts-expect-error: there is no such action
store.timer("clock", "begin");
// @ts-expect-error: the field is named do
store.txn([{ op: "timer", key: "clock", action: "start" }]);
// @ts-expect-error: a timer needs to know what to do
store.txn([{ op: "timer", key: "clock" }]);
// @ts-expect-error: there is no such field
store.txn([{ op: "incr", key: "votes", bye: 5 }]);
// @ts-expect-error: a field of another operation
store.txn([{ op: "delete", key: "votes", by: 5 }]);
// @ts-expect-error: there is no such operation
store.txn([{ op: "increment", key: "votes" }]);
// @ts-expect-error: a value is needed
store.txn([{ op: "set", key: "votes" }]);
// @ts-expect-error: update changes whole values
store.update("k", (old) => old, { path: "/a" });
// @ts-expect-error: one of key, keys and pattern
store.watch({ path: "/a" }, () => {});
