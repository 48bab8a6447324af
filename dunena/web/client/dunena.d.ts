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
  /** Functions by the name that `data-bind="key | name"` uses; the result is shown. */
  format?: { [name: string]: (value: any, element: Element) => unknown };
  /** The WebSocket class, if it is neither a global nor in the package `ws`. */
  WebSocket?: unknown;
}

/** Options of a call. */
export interface Place {
  /** Namespace of the keys; the default is the store's. */
  ns?: string;
}

export interface SetOptions extends Place {
  /** Milliseconds until the key expires; 0 is never. */
  ttl?: number;
  /** Resolve only when the value was forced to the device. */
  durable?: boolean;
}

export interface WatchOptions extends Place {
  /** Called if this key cannot be watched; the default is the store's `onError`. */
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
  /** Why there is no connection: no server, or the server's text; null while connected. */
  readonly error: Error | null;
  /** Calls back with the status, soon and at each change; returns a function that ends this. */
  onStatus(callback: (status: Status) => void): () => void;

  /** Resolves to the value of a key, null if it has none. */
  get<Value = any>(key: string, options?: Place): Promise<Value | null>;
  mget<Value = any>(keys: string[], options?: Place): Promise<{ [key: string]: Value | null }>;
  /** Resolves when the value is stored; rejects with the server's text. */
  set(key: string, value: unknown, options?: SetOptions): Promise<void>;
  /** Stores several values. It is no transaction: if one is refused, others may be stored. */
  mset(entries: { [key: string]: unknown }, options?: SetOptions): Promise<void>;
  delete(key: string, options?: Place): Promise<void>;
  /** Reads an object, replaces these fields, writes it and resolves to it; see docs/client.md. */
  merge<Value = any>(key: string, fields: object, options?: SetOptions): Promise<Value>;
  /** Resolves to all matching keys, sorted; `*` is any text, `?` one character. */
  keys(pattern?: string, options?: Place): Promise<string[]>;

  /**
   * Calls back with the current value, null if there is none, and with each later one.
   * It watches one key and takes no patterns; for all keys see `keys` and `events`.
   * Returns a function that ends it.
   */
  watch<Value = any>(
    key: string,
    callback: (value: Value | null) => void,
    options?: WatchOptions,
  ): () => void;
  /** Calls back with every change of the store from now on; returns a function that ends it. */
  events(callback: (event: CacheEvent) => void): () => void;
  /** Ends the connection for good; rejects unconfirmed calls. */
  close(): void;
}

/** A refusal, with the server's text, or a call that could not reach the server. */
export class DunenaError extends Error {
  name: "DunenaError";
}

/** Without a URL: connects to the server that the script is from, else http://localhost:3000. */
export function connect(options?: Options): Store;
export function connect(url: string | URL | undefined, options?: Options): Store;

declare global {
  /** The global of /dunena.classic.js, with the same members. */
  var dunena: { connect: typeof connect; DunenaError: typeof DunenaError };
}
