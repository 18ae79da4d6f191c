/** What is said about a transport rather than a place: the same for every backend that speaks HTTP. */
export interface HttpOptions {
  /** PEM texts; each may hold several certificates. They replace the system's trusted certificates. */
  readonly caCertificates?: readonly string[];
  /** One PEM text with the client's certificates and exactly one private key. */
  readonly clientCertificate?: string;
  /** Accepts any certificate of any server. Default false. */
  readonly insecureTls?: boolean;
  /** The `User-Agent` header. */
  readonly userAgent?: string;
  /** Milliseconds without a byte in either direction after which a request fails with `io`. Default 5 minutes. */
  readonly stuckRequestMs?: number;
}
