// Types of dunena's client, /dunena.js.

/** Any JSON value. Numbers are JavaScript's: integers past 2^53 lose digits. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** "waiting" is the pause before the next try to connect. */
export type Status = "connecting" | "open" | "waiting" | "closed";

export interface Options {
  /** Namespace of all calls that name none of their own. */
  ns?: string;
  /**
   * What calls do while there is no connection: "wait" (the default) keeps them, in order, and
   * sends again what was not confirmed; "refuse" rejects them at once.
   */
  whileAway?: "wait" | "refuse";
  /** The server's token: a session cookie in a page, a header in Node and Bun. */
  token?: string;
  /**
   * What watchers throw, refused subscriptions, mistyped bindings, why there is no connection.
   * `console.error`.
   */
  onError?: (error: Error) => void;
  /** Where `data-bind` is looked for: the document of a page; `false` for nowhere. */
  bind?: ParentNode & Node | false;
  /** Functions that `data-bind="key | name"` names. */
  format?: { [name: string]: (value: any, element: Element) => unknown };
  /** The WebSocket class, where it is neither global nor the package `ws`. */
  WebSocket?: unknown;
}

/** What calls take besides their key. */
export interface Place {
  /** Namespace. */
  ns?: string;
}

export interface SetOptions extends Place {
  /** Milliseconds until the key expires; 0 or nothing: never. */
  ttl?: number;
  /** Confirmed only when it was forced to the device. */
  durable?: boolean;
}

export interface WatchOptions extends Place {
  /** Why this key cannot be followed; without it, the store's `onError` is told. */
  onError?: (error: DunenaError) => void;
}

/** One change of the store, without its value; `data` is empty for "clear". */
export interface CacheEvent {
  channel: "cache";
  event: "set" | "delete" | "expired" | "clear";
  data: { key?: string; ns?: string; size?: number };
  timestamp: number;
}

export interface Store {
  readonly status: Status;
  /** Why there is no connection: nobody is there, or what the server said; null once there is one. */
  readonly error: Error | null;
  /** Called with the status, soon and at each change; returns what ends it. */
  onStatus(callback: (status: Status) => void): () => void;

  /** The value of a key, null when there is none. */
  get<Value = any>(key: string, options?: Place): Promise<Value | null>;
  mget<Value = any>(keys: string[], options?: Place): Promise<{ [key: string]: Value | null }>;
  /** Resolves when the value is stored; rejects with the server's text. */
  set(key: string, value: unknown, options?: SetOptions): Promise<void>;
  /** Several sets at once. Not a transaction: if one is refused, the others may be stored. */
  mset(entries: { [key: string]: unknown }, options?: SetOptions): Promise<void>;
  delete(key: string, options?: Place): Promise<void>;
  /** Reads an object, replaces these fields, writes it and gives it back; see docs/client.md. */
  merge<Value = any>(key: string, fields: object, options?: SetOptions): Promise<Value>;
  /** All keys that match, sorted; `*` and `?` stand for characters. */
  keys(pattern?: string, options?: Place): Promise<string[]>;

  /**
   * Calls back with the current value, null when there is none, and with each one after it.
   * For one key: there are no patterns here, `keys` and `events` have all of them.
   * Returns what ends it.
   */
  watch<Value = any>(
    key: string,
    callback: (value: Value | null) => void,
    options?: WatchOptions,
  ): () => void;
  /** Calls back with every change of the store from now on; returns what ends it. */
  events(callback: (event: CacheEvent) => void): () => void;
  /** Ends the connection for good; what was not confirmed is rejected. */
  close(): void;
}

/** What the server refused, in its words, and what could not reach it. */
export class DunenaError extends Error {
  name: "DunenaError";
}

/** Without an address: the server that the script came from, else http://localhost:3000. */
export function connect(options?: Options): Store;
export function connect(url: string | URL | undefined, options?: Options): Store;

declare global {
  /** The same after loading /dunena.classic.js. */
  var dunena: { connect: typeof connect; DunenaError: typeof DunenaError };
}
