/** One empty place on a server for a repository, as a command line names it. */
export interface Place {
  /** What `-r` takes. */
  readonly location: string;
  /** Credentials and the like, to be added to the environment of a program. */
  readonly env: Readonly<Record<string, string>>;
  /** Extended options that it takes, each for an `-o`: `s3.bucket-lookup=path`. */
  readonly options: readonly string[];
  /** Must never show up in a location, a message or a log. */
  readonly secrets: readonly string[];
}

/** A real server, started by a test on this machine and stopped when it is disposed of. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  /** A new place under `name`; through a proxy of the test when `port` is another than the server's own. */
  place(name: string, options?: { readonly port?: number }): Promise<Place>;
  /** The same place as restic is told of it, where it is told otherwise. */
  placeForRestic?(name: string, options?: { readonly port?: number }): Promise<Place>;
  /** Stops the server as a crash would, and starts it again with the same data on the same port. */
  restart(): Promise<void>;
}
