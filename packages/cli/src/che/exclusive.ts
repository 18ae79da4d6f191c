/** Flags that have no sense together. Only what the command line says is judged: the environment yields to it. */
import { UsageError } from '../failure.ts';

/** The flags among `names` that are given, as they are written. */
export function givenFlags<Flags extends object>(flags: Flags, names: readonly (keyof Flags & string)[]): string[] {
  return names.filter((name) => flags[name] !== undefined).map(writtenFlag);
}

/** Throws when there are flags of more than one group. */
export function refuseTogether(...groups: readonly (readonly string[])[]): void {
  const [first, second] = groups.filter((group) => group.length > 0);
  if (first !== undefined && second !== undefined) {
    throw new UsageError(`${first.join(', ')} cannot be used together with ${second.join(', ')}`);
  }
}

/** `sshKeyFile` as `--ssh-key-file`. */
function writtenFlag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
