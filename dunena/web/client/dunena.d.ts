// Types of dunena's client, /dunena.js.

/** Any JSON value. Numbers are those of JavaScript: integers past 2^53 lose digits. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The state of the connection; "waiting" is the pause before the next try to connect. */
export type Status = "connecting" | "open" | "waiting" | "closed";

export interface Options {
  /** Default namespace of all calls. */
  ns?: string;
  /**
   * What calls do while there is no connection: "wait" (the default) queues them in order and sends
   * unconfirmed ones again; "refuse" rejects them at once.
   */
  whileAway?: "wait" | "refuse";
  /** The token; a page sends it as a session cookie, Node and Bun send it as a header. */
  token?: string;
  /**
   * Called with errors that watchers throw, refused subscriptions, mistyped bindings and failures
   * to connect. The default is `console.error`.
   */
  onError?: (error: Error) => void;
  /** Where to look for `data-bind`; the default is the page's document, `false` is nowhere. */
  bind?: ParentNode & Node | false;
  /** Functions by the name that `data-bind="key | name"` uses; the result is shown. `timer` is one. */
  format?: { [name: string]: (value: any, element: Element) => unknown };
  /** What the server knows of the client across lost connections; also without one `present` works. */
  session?: Session;
  /** The WebSocket class, if it is neither a global nor in the package `ws`. */
  WebSocket?: unknown;
}

export interface Session {
  /** Ms of silence after which the server ends the connection, 2000 to 60,000; the default is its own. */
  timeout?: number;
  /** Ms that the session outlives a lost connection, up to 60,000; the default is 0. */
  grace?: number;
  /** What the server calls the client in its list of connections. */
  name?: string;
  /** Carried out by the server when the session has ended; a crash of the server is no end. */
  will?: Op[];
}

/** Options of a call. */
export interface Place {
  /** Namespace of the keys; the default is the store's. */
  ns?: string;
}

export interface WriteOptions extends Place {
  /** Milliseconds until the key expires; 0 is never. */
  ttl?: number;
  /** With a `ttl`: merged into the value when that ends, in place of removing the key. */
  then?: unknown;
  /** Resolve only when the change was forced to the device. */
  durable?: boolean;
  /** The key is never on disk, and ends with the session or, without one, the connection. */
  ephemeral?: boolean;
}

export interface ChangeOptions extends WriteOptions {
  /** A JSON Pointer (RFC 6901): the part of the value that is meant. */
  path?: string;
  /** Change the key only if it is at this revision; 0: only if it does not exist. */
  ifRev?: number;
  /** The epoch that `ifRev` is of. */
  epoch?: string;
  /** In place of the client's own: 1 to 64 printable characters. */
  idempotencyKey?: string;
}

/** A value, the revision of its key (0 for no key) and the epoch of that revision. */
export interface Found<Value> {
  value: Value | null;
  rev: number;
  epoch: string;
}

export type TimerAction = "start" | "stop" | "toggle" | "set" | "add";

/** What the operations of a `txn` have in common. */
export interface OpOptions extends Omit<ChangeOptions, "idempotencyKey"> {
  key: string;
  /** Return the whole new value of the key. */
  return?: boolean;
}

/** One operation of a `txn`, with the fields of docs/operations-on-values.md. */
export type Op = OpOptions &
  (
    | { op: "set" | "merge"; value: unknown }
    | { op: "delete" }
    | { op: "patch"; patch: object[] }
    | { op: "incr"; by?: number; min?: number; max?: number }
    | { op: "append"; value?: unknown; values?: unknown[]; max?: number }
    | { op: "touch"; ttl: number }
    | { op: "timer"; do: TimerAction; ms?: number; rate?: number }
    | { op: "revert"; toRev?: number }
  );

export interface OpResult {
  rev: number;
  value?: any;
  length?: number;
  deleted?: boolean;
}

/** Shows `running ? ms + rate * (now - at) : ms`, not below 0 if the rate is negative. */
export interface Timer {
  timer: { at: number; ms: number; rate: number; running: boolean };
}

export interface HistoryEntry<Value> {
  rev: number;
  /** Unix time in ms. */
  timestamp: number;
  value: Value;
}

export interface WatchOptions extends Place {
  /** A JSON Pointer (RFC 6901): the part of each value that is watched. */
  path?: string;
  /** At most so many updates a second, from 0.1 to 100. */
  maxRate?: number;
  /** Called if this cannot be watched; the default is the store's `onError`. */
  onError?: (error: DunenaError) => void;
}

/** One key that has changed: its value, or the event by which it went. */
export interface Change<Value> {
  key: string;
  rev: number;
  value?: Value;
  event?: "delete" | "expired";
}

/** One change of the store, without its value; `data` is empty for "clear". */
export interface CacheEvent {
  channel: "cache";
  event: "set" | "delete" | "expired" | "clear";
  data: { key?: string; ns?: string; size?: number };
  timestamp: number;
  /** Infinity in the first one after a lost connection, else 0. */
  missed: number;
}

export interface ChannelMessage<Data> {
  channel: string;
  event: "message";
  data: Data;
  /** Unix time in ms. */
  timestamp: number;
  /**
   * How many messages directly before this one did not come, as they were read too slowly;
   * Infinity if nobody knows, as the connection was lost.
   */
  missed: number;
}

export interface Store {
  readonly status: Status;
  /** Why there is no connection: no server, or the server's text; null while connected. */
  readonly error: Error | null;
  /** Calls back with the status, soon and at each change; returns a function that ends this. */
  onStatus(callback: (status: Status) => void): () => void;

  /** Resolves to the value of a key, null if there is none. */
  get<Value = any>(key: string, options: Place & { rev: true }): Promise<Found<Value>>;
  get<Value = any>(key: string, options?: Place): Promise<Value | null>;
  mget<Value = any>(keys: string[], options?: Place): Promise<{ [key: string]: Value | null }>;
  /** Resolves to the key's revision when the value is stored; rejects with the server's text. */
  set(key: string, value: unknown, options?: ChangeOptions): Promise<number>;
  /** Stores several values. It is no transaction: if one is refused, others may be stored. */
  mset(entries: { [key: string]: unknown }, options?: WriteOptions): Promise<void>;
  /** Resolves to whether there was something to delete. */
  delete(key: string, options?: Omit<ChangeOptions, "ttl" | "then">): Promise<boolean>;
  /**
   * Merges fields into an object, at any depth; null removes one. What is no object, such as a list
   * or a number, is replaced (RFC 7396). Resolves to the new value.
   */
  merge<Value = any>(key: string, fields: object, options?: ChangeOptions): Promise<Value>;
  /** Adds to a number, which may be missing; resolves to the new one. */
  incr(key: string, by?: number, options?: ChangeOptions & { min?: number; max?: number }): Promise<number>;
  /** Adds an element to a list, of which the newest `max` stay; resolves to its length. */
  append(key: string, value: unknown, options?: ChangeOptions & { max?: number }): Promise<number>;
  /** Changes a timer by the server's clock; resolves to it. */
  timer(
    key: string,
    action: TimerAction,
    options?: ChangeOptions & { ms?: number; rate?: number },
  ): Promise<Timer>;
  /**
   * Brings back the newest value that differs from the present one, or that of `toRev`; resolves to
   * it. It goes back from what stands now, also if others wrote that: `ifRev` prevents it.
   */
  revert<Value = any>(key: string, options?: ChangeOptions & { toRev?: number }): Promise<Value>;
  /** Resolves to the values of a key, newest first. */
  history<Value = any>(key: string, options?: Place & { limit?: number }): Promise<HistoryEntry<Value>[]>;
  /**
   * Stores what a function makes of the value, and begins again if another client was faster.
   * Resolves to the new value. Nothing is stored if the function returns undefined.
   */
  update<Value = any>(
    key: string,
    change: (value: Value | null) => Value | undefined | Promise<Value | undefined>,
    options?: WriteOptions,
  ): Promise<Value | null>;
  /** Carries out all operations or none; resolves to the result of each. */
  txn(ops: Op[], options?: Place & { durable?: boolean; idempotencyKey?: string }): Promise<OpResult[]>;
  /** Resolves to all matching keys, sorted; `*` is any text, `?` one character. */
  keys(pattern?: string, options?: Place): Promise<string[]>;

  /**
   * Calls back with the current value, null if there is none, and with each later one.
   * Returns a function that ends it.
   */
  watch<Value = any>(
    what: string | ({ key: string } & WatchOptions),
    callback: (value: Value | null, changes: Change<Value>[]) => void,
    options?: WatchOptions,
  ): () => void;
  /** The same for several keys: the values of those that exist, and what has changed. */
  watch<Value = any>(
    what: ({ keys: string[] } | { pattern: string }) & WatchOptions,
    callback: (values: { [key: string]: Value }, changes: Change<Value>[]) => void,
    options?: WatchOptions,
  ): () => void;
  /**
   * Shows others a state by an ephemeral key, and sets it again after a connection whose session
   * was not resumed. Later objects replace the fields that they name; null ends it.
   */
  present(key: string, state: unknown, options?: Place): Promise<void>;
  /**
   * Sends any JSON to those who are subscribed to a channel now; nothing is stored. It is never sent
   * twice: rejects with the code "unknown" if the connection was lost before the answer.
   */
  publish(channel: string, data: unknown): Promise<void>;
  /** Calls back with what is published from now on; returns a function that ends it. */
  subscribe<Data = any>(
    channel: string,
    callback: (data: Data, message: ChannelMessage<Data>) => void,
    options?: { onError?: (error: DunenaError) => void },
  ): () => void;
  /** Calls back with every change of the store from now on; returns a function that ends it. */
  events(callback: (event: CacheEvent) => void): () => void;
  /** The server's time: Unix ms. */
  now(): number;
  /** Ends the connection and the session for good; rejects unconfirmed calls. */
  close(): void;
}

/** A refusal, with the server's text, or a call that could not reach the server. */
export class DunenaError extends Error {
  name: "DunenaError";
  /**
   * For programs: "conflict" and others of docs/operations-on-values.md; "away" without a connection; "unknown"
   * if the connection was lost before the answer.
   */
  code?: string;
  /** Of a conflict: the key, and the revision that it is at. */
  key?: string;
  rev?: number;
  /** Of a `txn`: the number of the operation, from 0. */
  op?: number;
}

/** Without a URL: connects to the server that the script is from, else http://localhost:3000. */
export function connect(options?: Options): Store;
export function connect(url: string | URL | undefined, options?: Options): Store;

declare global {
  /** The global of /dunena.classic.js, with the same members. */
  var dunena: { connect: typeof connect; DunenaError: typeof DunenaError };
}
